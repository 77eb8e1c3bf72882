#include "ashlar/data/tokenizers/normalizer.hpp"

#include <utf8proc.h>

#include "ashlar/data/tokenizers/utf8.hpp"
#include "catch.hpp"

using namespace ashlar;

namespace {
std::string normal(NormalizerStep step, const std::string& text) {
  return Normalizer({step})(text);
}
}  // namespace

TEST_CASE("forms, cases and replacements") {
  CHECK(normal({NormalizerStep::nfc}, "e\u0301 \u212b \u1112\u1161\u11ab") == "\u00e9 \u00c5 \ud55c");
  CHECK(normal({NormalizerStep::nfd}, "\u00e9") == "e\u0301");
  CHECK(normal({NormalizerStep::nfkc}, "\ufb01\u00bd") == "fi1\u20442");
  CHECK(normal({NormalizerStep::nfkd}, "\u00e9\ufb01") == "e\u0301fi");
  CHECK(normal({NormalizerStep::lowercase}, "\u0130\u03a3A\u1e9e") == "i\u0307\u03c3a\u00df");
  CHECK(normal({NormalizerStep::replace, " ", "\u2581"}, " a  b") == "\u2581a\u2581\u2581b");
  CHECK(normal({NormalizerStep::prepend, "", "_"}, "a") == "_a");
  CHECK(normal({NormalizerStep::prepend, "", "_"}, "").empty());
  CHECK(Normalizer({{NormalizerStep::prepend, "", "_"}})("a", false) == "a");
  CHECK(Normalizer({{NormalizerStep::lowercase}, {NormalizerStep::replace, "b", "c"}})("AB") == "ac");
}

TEST_CASE("characters that are taken to stay in form C do, and begin no mark") {
  std::string text;
  for (char32_t c = 1; c < 0x11000; ++c) {
    if ((c >= 0xD800 && c < 0xE000) || !detail::stays_in_form_c(c)) continue;
    std::string one;
    append_utf8(one, c);
    INFO("U+" << std::hex << static_cast<unsigned>(c));
    REQUIRE(detail::mapped(one, UTF8PROC_COMPOSE) == one);
    REQUIRE(utf8proc_get_property(static_cast<utf8proc_int32_t>(c))->combining_class == 0);
    text += one;
  }
  CHECK(detail::mapped(text, UTF8PROC_COMPOSE) == text);  // nor do neighbours compose
}

TEST_CASE("a long text is normalised as a short one") {
  std::string text, expected;
  for (int i = 0; i < 40000; ++i) text += i % 7 ? "e\u0301" : "e\u0301 x", expected += i % 7 ? "\u00e9" : "\u00e9 x";
  CHECK(normal({NormalizerStep::nfc}, text) == expected);
  CHECK(normal({NormalizerStep::prepend, "", "_"}, text) == "_" + text);
}

TEST_CASE("where characters begin and end") {
  const auto length = [](std::string_view s) { return utf8_length(s, 0); };
  CHECK((length("a") == 1 && length("\u00e9") == 2 && length("\u20ac") == 3 && length("\U0001f600") == 4));
  for (const char* bad : {"\x80", "\xC3", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
                          "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x82", "\xF0\x9F\x98", "\xE2(\x82", ""})
    CHECK(length(bad) == 0);
  CHECK(utf8_until("abcdefghij\u00e9\u20ac\xff", 0) == 15);
  for (char32_t c : {U'a', U'\u00e9', U'\u20ac', U'\U0001f600'}) {
    std::string out;
    append_utf8(out, c);
    CHECK(utf8_code_point(out, 0, utf8_length(out, 0)) == c);
  }
}
