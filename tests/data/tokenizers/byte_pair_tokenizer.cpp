#include "ashlar/data/tokenizers/byte_pair_tokenizer.hpp"

#include "ashlar/core/random.hpp"
#include "ashlar/data/tokenizers/byte_tokenizer.hpp"
#include "catch.hpp"
#include "data/tokenizers/fixtures.hpp"

using namespace ashlar;

namespace {

// What every tokenizer has to hold to.
void obeys(const Tokenizer& t, const std::string& text, bool is_lossless) {
  const auto ids = t.encode(text);
  std::string pieces;
  for (const std::int32_t id : ids) {
    REQUIRE((id >= 0 && id < t.vocab_size()));
    pieces += t.bytes_of(id);
  }
  const std::string back = t.decode(ids);
  REQUIRE(pieces.ends_with(back));
  if (is_lossless) REQUIRE(back == text);
}

std::string random_bytes(std::uint64_t seed, std::size_t size) {
  const RandomStream random(seed, hash_name("bytes"));
  std::string out;
  for (std::size_t i = 0; i < size; ++i) {
    const std::uint64_t draw = random.bits(i);
    // Bytes of all kinds, among them some that are nearly characters, and text.
    constexpr std::string_view often = "ab '\n\n \t1<|>\xE2\x82\xAC\xF0\x9F\x98\x80\xCC\x81\xE4\xBD\xA0";
    out += draw & 1 ? static_cast<char>(draw >> 8) : often[(draw >> 8) % often.size()];
  }
  return out;
}

}  // namespace

TEST_CASE("ids are those of the packages tokenizers and tiktoken, text by text") {
  for (const auto& [name, ids] : corpus().ids) {
    const auto tokenizer = open_fixture(name);
    REQUIRE(ids.size() == corpus().texts.size());
    for (std::size_t i = 0; i < ids.size(); ++i) {
      INFO(name << ", text " << i << ": " << corpus().texts[i]);
      CHECK(tokenizer->encode(corpus().texts[i]) == ids[i]);
    }
  }
}

TEST_CASE("what changes no text gives it back, whatever bytes it has") {
  for (const std::string& name : lossless) {
    INFO(name);
    const auto tokenizer = open_fixture(name);
    for (const std::string& text : corpus().texts) obeys(*tokenizer, text, true);
    for (std::uint64_t seed = 0; seed < 200; ++seed) obeys(*tokenizer, random_bytes(seed, 1 + seed), true);
  }
  for (std::uint64_t seed = 0; seed < 50; ++seed) obeys(ByteTokenizer(), random_bytes(seed, seed), true);
}

TEST_CASE("what changes text still gives tokens for any bytes") {
  for (const char* name : {"qwen.json", "byte_fallback.json", "words.json"}) {
    const auto tokenizer = open_fixture(name);
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
      INFO(name << ", seed " << seed);
      obeys(*tokenizer, random_bytes(seed, 1 + seed), false);
    }
  }
}

TEST_CASE("bytes that are no UTF-8 come back from characters with a fallback, too") {
  const auto tokenizer = open_fixture("byte_fallback.json");
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    std::string text = random_bytes(seed, 1 + seed);
    // "<s>" and the like are looked for before a text gets its first space.
    if (text.find('<') == text.npos) obeys(*tokenizer, text, true);
  }
  for (const char* text : {"\xff", "\xff abc", " a\xff  b", "a\xC3", "\xED\xA0\x80", " "})
    obeys(*tokenizer, text, true);
}

TEST_CASE("ids do not depend on the parts that a text is cut into") {
  std::string text = corpus().joined();
  text += random_bytes(1, 4000) + text;
  for (const auto& [name, ids] : corpus().ids) {
    INFO(name);
    const auto whole = open_fixture(name, text.size())->encode(text);
    for (const std::size_t bytes : {1, 3, 17, 64, 1000}) {
      INFO("parts of " << bytes << " bytes");
      CHECK(open_fixture(name, bytes)->encode(text) == whole);
    }
  }
}

TEST_CASE("parts that meet nowhere are encoded in one piece") {
  // Digits in threes: begun one further, they are cut elsewhere all the way.
  const std::string text(10000, '7');
  for (const char* name : {"llama3.json", "deepseek.json", "llama4.json"}) {
    const auto whole = open_fixture(name, text.size())->encode(text);
    for (const std::size_t bytes : {100, 101, 102}) CHECK(open_fixture(name, bytes)->encode(text) == whole);
  }
}

TEST_CASE("a place inside a match is no place to meet") {
  // Digits in threes, and these in twos: begun one further, places are the same and what follows is not.
  const auto tokenizer = [](std::size_t bytes) {
    BytePairParts parts;
    parts.pieces = {"7", "77"};
    parts.model = BytePair(parts.pieces, {{0, 0, 1, 0}}, {});
    for (const char* digits : {"\\d{3}", "\\d{2}"})
      parts.stages.push_back({Pattern(digits, PatternDialect::oniguruma, "test")});
    return BytePairTokenizer(std::move(parts), bytes);
  };
  const std::string text(300, '7');
  const auto whole = tokenizer(text.size()).encode(text);
  CHECK(whole.size() == 200);
  for (const std::size_t bytes : {1, 2, 3, 10, 31}) CHECK(tokenizer(bytes).encode(text) == whole);
}

TEST_CASE("long words take no time that grows with their square") {
  for (const std::string name : {"llama3.json", "deepseek.json", "ranks.tiktoken"}) {
    const auto tokenizer = open_fixture(name);
    for (const std::string piece : {"a", " ", "\n", "!", "A", "1", "\xE4\xB8\x80", "\xff", "\xCC\x81", "\t "}) {
      std::string text;
      while (text.size() < 200'000) text += piece;
      INFO(name << ", " << piece);
      CHECK(tokenizer->decode(tokenizer->encode(text)) == text);
    }
  }
}

TEST_CASE("an error of one part is an error of all, and names the byte") {
  BytePairParts parts;
  parts.pieces = {"a", "b"};
  parts.model = BytePair(parts.pieces, {}, {});
  parts.stages.push_back({Pattern("[ab]+|[^ab]+", PatternDialect::oniguruma, "test")});
  const BytePairTokenizer tokenizer(std::move(parts), 4);
  CHECK(tokenizer.encode("abba") == std::vector<std::int32_t>{0, 1, 1, 0});
  CHECK_THROWS_WITH(tokenizer.encode(std::string(100, 'a') + "c" + std::string(100, 'b')),
                    ContainsText("no token for the character byte 63"));
  CHECK_THROWS_WITH(tokenizer.bytes_of(2), ContainsText("id 2 is no token of this tokenizer, whose ids are below 2"));
  CHECK_THROWS_WITH(tokenizer.bytes_of(-1), ContainsText("id -1 is no token"));
}
