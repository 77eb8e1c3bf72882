#include "ashlar/data/tokenizers/byte_pair.hpp"

#include <map>

#include "ashlar/core/random.hpp"
#include "catch.hpp"

using namespace ashlar;

namespace {

// The definition: merge the pair of the lowest rank, the first of its kind, until there is none.
std::vector<std::int32_t> merged(std::vector<std::int32_t> ids, const std::vector<BytePairMerge>& merges) {
  for (;;) {
    std::size_t best = ids.size();
    const BytePairMerge* with = nullptr;
    for (std::size_t i = 0; i + 1 < ids.size(); ++i)
      for (const BytePairMerge& m : merges)
        if (m.left == ids[i] && m.right == ids[i + 1] && (!with || m.rank < with->rank)) best = i, with = &m;
    if (!with) return ids;
    ids[best] = with->result;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

}  // namespace

TEST_CASE("merges are those of the definition, over random vocabularies and words") {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const RandomStream random(seed, 1);
    std::uint64_t draw = 0;
    const auto below = [&](std::size_t n) { return random.below(draw++, n); };
    std::vector<std::string> tokens{"a", "b", "c"};
    std::map<std::string, std::int32_t> ids{{"a", 0}, {"b", 1}, {"c", 2}};
    std::vector<BytePairMerge> merges;
    while (merges.size() < 30) {
      const auto left = static_cast<std::int32_t>(below(tokens.size())),
                 right = static_cast<std::int32_t>(below(tokens.size()));
      const std::string both = tokens[static_cast<std::size_t>(left)] + tokens[static_cast<std::size_t>(right)];
      bool known = both.size() > 12;
      for (const BytePairMerge& m : merges) known |= m.left == left && m.right == right;
      if (known) continue;
      const auto [at, added] = ids.try_emplace(both, static_cast<std::int32_t>(tokens.size()));
      if (added) tokens.push_back(both);
      merges.push_back({left, right, at->second, static_cast<std::int32_t>(merges.size())});
    }
    const BytePair model(tokens, merges, {});
    BytePair::Worker worker;
    for (int word = 0; word < 100; ++word) {
      std::string text;
      std::vector<std::int32_t> begin, out;
      for (std::size_t n = 1 + below(40); n > 0; --n)
        begin.push_back(static_cast<std::int32_t>(below(3))), text += static_cast<char>('a' + begin.back());
      const auto expected = merged(begin, merges);
      INFO("seed " << seed << ", " << text);
      for (int again = 0; again < 2; ++again) {  // anew, and as a word that is known
        out.clear();
        model.encode(text, out, worker);
        REQUIRE(out == expected);
      }
    }
  }
}

TEST_CASE("words that share a place in the table of known ones are told apart") {
  const BytePair model({"a", "b", "c"}, {}, {});
  BytePair::Worker worker;
  const RandomStream random(5, 5);
  for (std::uint64_t i = 0; i < 40000; ++i) {
    std::string word;
    std::vector<std::int32_t> expected, out;
    for (std::uint64_t c = 0; c < 8; ++c)
      expected.push_back(static_cast<std::int32_t>(random.below(i % 20000 * 8 + c, 3))),
          word += static_cast<char>('a' + expected.back());
    model.encode(word, out, worker);
    REQUIRE(out == expected);
  }
}

TEST_CASE("words that are tokens, characters without one, and bytes in their place") {
  BytePair::Worker worker;
  const auto encode = [&](const BytePair& model, std::string_view word) {
    std::vector<std::int32_t> out;
    BytePair::Worker fresh;
    model.encode(word, out, fresh);
    return out;
  };
  const std::vector<std::string> tokens{"a", "b", "ab", "abb", "?", "<0xC3>", "<0xA9>", "<0xFF>"};
  const std::vector<BytePairMerge> merges{{0, 1, 2, 0}};
  using Ids = std::vector<std::int32_t>;
  CHECK(encode(BytePair(tokens, merges, {}), "abb") == Ids{2, 1});
  CHECK(encode(BytePair(tokens, merges, {.whole_words = true}), "abb") == Ids{3});
  const BytePair fallback(tokens, merges,
                          {.byte_level = false, .byte_fallback = true, .unknown = 4, .fuse_unknown = true});
  CHECK(encode(fallback,
               "a\u00e9\xff\u20ac\u20ac"
               "b") == Ids{0, 5, 6, 7, 4, 1});
  CHECK(encode(BytePair(tokens, merges, {.byte_level = false, .unknown = 4}), "\u20ac\u20aca") == Ids{4, 4, 0});
  CHECK_THROWS_WITH(encode(BytePair(tokens, merges, {.byte_level = false}), "a\u20ac"),
                    ContainsText("no token for the character \u20ac (byte E282AC)"));
  CHECK(encode(fallback, "").empty());
}
