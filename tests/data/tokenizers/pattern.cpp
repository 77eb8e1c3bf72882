#include "ashlar/data/tokenizers/pattern.hpp"

#include <vector>

#include "catch.hpp"

using namespace ashlar;

namespace {

std::string translated(const std::string& expression, PatternDialect dialect = PatternDialect::oniguruma) {
  bool looks_back = false;
  return detail::pcre2_expression(expression, dialect, "test", looks_back);
}

// The matches in a text, as a list.
std::vector<std::string> matches(const std::string& expression, const std::string& text,
                                 PatternDialect dialect = PatternDialect::oniguruma) {
  const Pattern pattern(expression, dialect, "test");
  Pattern::Matcher matcher(pattern);
  std::vector<std::string> out;
  for (std::size_t at = 0; at < text.size();) {
    const auto match = matcher.find(text, at);
    if (match.begin < text.size()) out.push_back(text.substr(match.begin, match.end - match.begin));
    at = match.end;
  }
  return out;
}
using List = std::vector<std::string>;

}  // namespace

TEST_CASE("what means the same is kept, what does not is written out") {
  CHECK(translated(" ?\\p{L}+|[^\\r\\n\\P{Lu}]") == " ?\\p{L}+|[^\\r\\n\\P{Lu}]");
  CHECK(translated("\\s[\\s]\\S\\d") == "\\p{White_Space}[\\p{White_Space}]\\P{White_Space}\\p{Nd}");
  CHECK(translated("\\u4e00\\x{1F600}\\x41") == "\\x{4e00}\\x{1F600}\\x{41}");
  CHECK(translated("\\p{Han}\\v[]a]{,3}") == "\\p{sc:Han}\\x0b[\\]a]{0,3}");
  CHECK(translated("\\p{N}{1,3}+", PatternDialect::fancy) == "\\p{N}{1,3}+");
}

TEST_CASE("white space and words are Unicode's, not PCRE2's") {
  CHECK(matches("\\s", "\xE1\xA0\x8E\xC2\x85\xE2\x80\xAF") == List{"\xC2\x85", "\xE2\x80\xAF"});  // not U+180E
  CHECK(matches("\\w+", "a\xCC\x81_\xE0\xA4\x95\xE0\xA5\x8D 1") == List{"a\xCC\x81_\xE0\xA4\x95\xE0\xA5\x8D", "1"});
  CHECK(matches("\\W+", "a\xCC\x81 -b") == List{" -"});
  CHECK(matches("(?i:'s)", "'S'\xC5\xBF's") == List{"'S", "'\xC5\xBF", "'s"});  // U+017F folds to s
}

TEST_CASE("^ and $ are of lines in one dialect, and of the text in the other") {
  CHECK(matches("a$", "a\na").size() == 2);
  CHECK(matches("a$", "a\na", PatternDialect::fancy).size() == 1);
  CHECK(matches("a$", "a\n", PatternDialect::fancy).empty());
  CHECK(matches("^a", "a\na").size() == 2);
}

TEST_CASE("patterns that look back say so") {
  const auto looks_back = [](const char* e) { return Pattern(e, PatternDialect::oniguruma, "test").looks_back(); };
  CHECK(!looks_back("a(?=b)|\\s+(?!\\S)|[^b]$"));
  for (const char* e : {"(?<=a)b", "(?<!a)b", "^a", "\\Aa"}) CHECK(looks_back(e));
}

TEST_CASE("what is not translated is refused, with the place") {
  for (const char* e : {"\\bx",   "\\h",         "\\Rx",       "a\\",   "(?<name>a)", "(*ACCEPT)a", "[a[b]]",
                        "[a&&b]", "[[:alpha:]]", "\\p{Greek}", "\\pL",  "\\p{L",      "a{1,3}+",    "a{x}",
                        "\\x80",  "\\xg0",       "\\u12",      "[\\W]", "\\1",        "(?m:a)",     "\\x{110000000}"}) {
    INFO(e);
    CHECK_THROWS_WITH(Pattern(e, PatternDialect::oniguruma, "f.json: pre_tokenizer"),
                      ContainsText("f.json: pre_tokenizer: the regular expression has \"") &&
                          ContainsText("which this library does not translate"));
  }
  CHECK_THROWS_WITH(Pattern("a(b", PatternDialect::oniguruma, "f"),
                    ContainsText("f: the regular expression a(b is wrong at byte 3"));
  CHECK_THROWS_WITH(Pattern("a*", PatternDialect::oniguruma, "f"), ContainsText("can match nothing at all"));
}
