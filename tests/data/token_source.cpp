#include "ashlar/data/token_source.hpp"

#include <vector>

#include "catch.hpp"

using namespace ashlar;

TEST_CASE("a document begins after the end of the one before; the end belongs to what it ends") {
  const std::vector<std::int32_t> tokens{5, 6, 9, 7, 9, 9, 8};
  std::vector<std::int32_t> start(7);
  find_document_starts(tokens, 9, start);
  CHECK(start == std::vector<std::int32_t>{0, 0, 0, 3, 3, 5, 6});
  find_document_starts(tokens, -1, start);
  CHECK(start == std::vector<std::int32_t>(7, 0));
}
