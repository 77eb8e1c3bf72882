// Tokenizer files that are nearly right, and texts of any bytes. A hundred thousand inputs; ASHLAR_FUZZ=N takes N of
// each of the three kinds. Whatever is not accepted is refused with an Error; memory errors are for the sanitizers.
#include <cstdlib>

#include "ashlar/core/random.hpp"
#include "catch.hpp"
#include "data/tokenizers/fixtures.hpp"

using namespace ashlar;

namespace {

std::uint64_t inputs(std::uint64_t usual) {
  const char* given = std::getenv("ASHLAR_FUZZ");
  return given ? std::strtoull(given, nullptr, 10) : usual;
}

// Numbers below n, one after another.
struct Draws {
  RandomStream random;
  std::uint64_t at = 0;
  std::size_t operator()(std::size_t n) { return n ? random.below(at++, n) : 0; }
};

// One to six edits of a text: bytes, pieces of it or of `words` put somewhere, taken out, or in another's place.
std::string edited(std::string text, const std::vector<std::string>& words, Draws& below) {
  for (std::size_t edits = 1 + below(6); edits > 0; --edits) {
    const std::size_t at = below(text.size() + 1), n = below(std::min<std::size_t>(text.size() - at, 40) + 1);
    switch (below(5)) {
      case 0: text.erase(at, n); break;
      case 1: text.insert(at, text.substr(below(text.size() + 1), 1 + below(40))); break;
      case 2: text.insert(at, words[below(words.size())]); break;
      case 3: text.replace(at, n, words[below(words.size())]); break;
      default:
        if (at < text.size()) text[at] = static_cast<char>(below(256));
    }
  }
  return text;
}

// Reads, and encodes with what was accepted now and then (a thread's table is large).
template <class Read>
void survives(const std::vector<std::string>& seeds, const std::vector<std::string>& words, std::uint64_t n,
              Read&& read) {
  std::uint64_t accepted = 0;
  for (std::uint64_t i = 0; i < n; ++i) {
    Draws below{RandomStream(hash_name("fuzz"), i)};
    const std::string text = edited(seeds[below(seeds.size())], words, below);
    try {
      const BytePairTokenizer tokenizer(read(text));
      if (accepted++ % 64 == 0) tokenizer.decode(tokenizer.encode("a\xff b'll \u00e9\u4e00 12<s>\n\n ab"));
    } catch (const Error&) {
    } catch (const std::exception& e) {
      FAIL("input " << i << ": " << e.what() << "\n" << text);
    }
  }
  CHECK(accepted > 0);
  CHECK(accepted < n);
}

}  // namespace

TEST_CASE("a tokenizer.json that is nearly right is read or refused") {
  std::vector<std::string> seeds;
  for (
      const char* normalizer :
      {"null",
       R"({"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Prepend","prepend":"_"},{"type":"Replace","pattern":{"String":" "},"content":"_"}]})"})
    for (
        const char* pre :
        {"null", R"({"type":"ByteLevel","add_prefix_space":true,"use_regex":true})",
         R"({"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"(?i:'s|'t)|[^\\r\\n\\p{L}]?\\p{L}+|\\p{N}{1,3}|\\s+(?!\\S)|\\s"},"behavior":"Isolated","invert":false},{"type":"Digits","individual_digits":true},{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]})"})
      seeds.push_back(concat(
          R"({"version":"1.0","added_tokens":[{"id":9,"content":"<s>","single_word":false,"lstrip":true,"rstrip":false,"normalized":true,"special":true}],"normalizer":)",
          std::string_view(normalizer), R"(,"pre_tokenizer":)", std::string_view(pre),
          R"(,"post_processor":null,"decoder":null,"model":{"type":"BPE","unk_token":"?","byte_fallback":false,"fuse_unk":true,"ignore_merges":false,"vocab":{"a":0,"b":1,"ab":2,"?":3,"l":4,"ll":5},"merges":["a b",["l","l"]]}})"));
  const std::vector<std::string> words{"{",
                                       "}",
                                       "[",
                                       "]",
                                       ",",
                                       "null",
                                       "true",
                                       "-1",
                                       "1e9",
                                       "4294967296",
                                       "\"\"",
                                       "\"a\"",
                                       "\"Regex\":",
                                       "\"String\":",
                                       "\"type\":\"Sequence\"",
                                       "\"type\":\"ByteLevel\"",
                                       "\"Lowercase\"",
                                       "\"Removed\"",
                                       "\"Punctuation\"",
                                       "\"<0x61>\":7",
                                       "\\\\p{L}",
                                       "\\\\s",
                                       "(?=",
                                       "(?<!",
                                       "[^",
                                       "{2,}",
                                       "*",
                                       "+",
                                       "?",
                                       "|",
                                       "\\u0120",
                                       "\xff",
                                       "\xc3\xa9",
                                       "\"byte_fallback\":true"};
  survives(seeds, words, inputs(30'000), [](const std::string& text) { return read_hugging_face(text, "", "f"); });
}

TEST_CASE("ranks that are nearly right are read or refused") {
  const std::vector<std::string> seeds{"YQ== 0\nYg== 1\nYWI= 2\nYWJh 3\n",
                                       content(fixture("ranks.tiktoken")).substr(0, 900)};
  const std::vector<std::string> words{"\n",   " ",  "=",   "==", "YQ==", "0", "-1", "99999999999999999999",
                                       "\r\n", "+/", "\xff"};
  survives(seeds, words, inputs(40'000), [](const std::string& text) { return read_tiktoken(text, "[^ ]+| ", "f"); });
}

TEST_CASE("texts of any bytes come back, cut into any parts") {
  std::vector<std::unique_ptr<const Tokenizer>> all, in_parts;
  for (const std::string& name : lossless) {
    all.push_back(open_fixture(name));
    in_parts.push_back(open_fixture(name, 7));
  }
  const std::uint64_t n = inputs(30'000);
  for (std::uint64_t i = 0; i < n; ++i) {
    Draws below{RandomStream(hash_name("text"), i)};
    const std::string text = edited(corpus().texts[below(corpus().texts.size())], corpus().texts, below);
    const Tokenizer& tokenizer = *(i % 64 ? all : in_parts)[below(all.size())];  // threads take longer to wake
    if (tokenizer.decode(tokenizer.encode(text)) != text) FAIL("input " << i << " does not come back: " << text);
  }
}
