#include "ashlar/data/tokenizers/added_tokens.hpp"

#include "catch.hpp"

using namespace ashlar;

namespace {

// The pieces of a text, tokens in brackets: as the package tokenizers has them.
std::string pieces(const std::string& text) {
  const AddedTokens tokens(
      {{0, "<m>", false, true}, {1, "<r>", false, false, true}, {2, "<mm>"}, {3, "<m><r>"}, {4, "go", true}});
  std::string out;
  std::size_t done = 0;
  tokens.split(text, [&](std::int32_t id, std::size_t begin, std::size_t end) {
    CHECK((begin == done && end > begin));
    done = end;
    const std::string piece = text.substr(begin, end - begin);
    out += id < 0 ? piece : "[" + piece + "]";
  });
  CHECK(done == text.size());
  return out;
}

}  // namespace

TEST_CASE("tokens are found where they stand, the longest first, with the space that they take along") {
  CHECK(pieces("a  <m> b") == "a[  <m>] b");
  CHECK(pieces("a <r>  b") == "a [<r>  ]b");
  CHECK(pieces("<m><r>") == "[<m><r>]");
  CHECK(pieces("<m><mm><m>") == "[<m>][<mm>][<m>]");
  CHECK(pieces(" <r>  <m> ") == " [<r>  ][<m>] ");
  CHECK(pieces("<r> \n<r>") == "[<r> \n][<r>]");
  CHECK(pieces("<r>\u3000\u2028x") == "[<r>\u3000\u2028]x");
  CHECK(pieces("x\u00a0\u3000<m>") == "x[\u00a0\u3000<m>]");
  CHECK(pieces("<m") == "<m");
  CHECK(pieces("").empty());
}

TEST_CASE("a token that is a word of its own touches no letter, digit or mark") {
  CHECK(pieces("go gone ago go") == "[go] gone ago [go]");
  CHECK(pieces("go_ go- gogo ego 1go go\u0301 \u4e00go \u20acgo") ==
        "go_ [go]- gogo ego 1go go\u0301 \u4e00go \u20ac[go]");
}
