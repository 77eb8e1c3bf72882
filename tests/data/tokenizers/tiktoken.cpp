#include "ashlar/data/tokenizers/tiktoken.hpp"

#include "catch.hpp"
#include "checkpoint/temporary_folder.hpp"

using namespace ashlar;

namespace {
std::string refusal(const std::string& text) {
  return error_of([&] { read_tiktoken(text, "a+", "r.tiktoken"); });
}
}  // namespace

TEST_CASE("base64 is read strictly") {
  CHECK(detail::from_base64("YWJj") == "abc");
  CHECK(detail::from_base64("YWI=") == "ab");
  CHECK(detail::from_base64("/+8=") == "\xff\xef");
  CHECK(detail::from_base64("") == "");
  for (const char* bad : {"YQ", "YQ=", "YR==", "YWJ=", "=QQQ", "YQ==YQ==", "Y===", "a b=", "YW-j"}) {
    INFO(bad);
    CHECK(!detail::from_base64(bad));
  }
}

TEST_CASE("ranks say when neighbours merge") {
  // "ab" before "bc"; "abc" is a token, which a word of it is at once, and else never made: "ab" + "c" and "a" + "bc"
  // make it.
  const BytePairTokenizer t(read_tiktoken("YQ== 0\nYg== 1\nYw== 2\r\nYmM= 4\nYWI= 3\n\nYWJj 7", "[a-c]+", "r"));
  using Ids = std::vector<std::int32_t>;
  CHECK(t.encode("ab") == Ids{3});
  CHECK(t.encode("abc") == Ids{7});
  CHECK(t.encode("cabcb") == Ids{2, 7, 1});
  CHECK(t.encode("bcab") == Ids{4, 3});
  CHECK(t.vocab_size() == 8);
}

TEST_CASE("a line that is wrong is named") {
  CHECK(mentions(refusal("YQ== 0\nYg= 1\n"), "r.tiktoken, line 2: no token in base64; a tiktoken file has a token"));
  CHECK(mentions(refusal("YQ==\n"), "line 1: expected a rank of 0 to "));
  CHECK(mentions(refusal("YQ== x\n"), "line 1: expected a rank"));
  CHECK(mentions(refusal("YQ== 99999999999999999999\n"), "line 1: expected a rank"));
  CHECK(mentions(refusal("YQ== 4103\n"), "line 1: expected a rank of 0 to 4100"));
  CHECK(mentions(refusal("YQ== -1\n"), "line 1: expected a rank"));
  CHECK(mentions(refusal("YQ== 0\nYg== 0\n"), "line 2: rank 0 stands twice"));
  CHECK(mentions(refusal("YQ== 0\nYQ== 1\n"), "line 2: the token stands twice"));
  CHECK(mentions(refusal(" 0\n"), "line 1: no token"));
  CHECK(mentions(refusal(""), "has no tokens"));
  CHECK(mentions(refusal(std::string(4000, 'A') + " 0"), "line 1: a token of 3000 bytes"));
}
