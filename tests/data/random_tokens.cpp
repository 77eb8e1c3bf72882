#include "ashlar/data/random_tokens.hpp"

#include <vector>

#include "catch.hpp"

using namespace ashlar;

namespace {

std::vector<std::int32_t> row(const RandomTokens& source, std::int64_t r, std::size_t n) {
  std::vector<std::int32_t> out(n);
  source.read(r, out);
  return out;
}

}  // namespace

TEST_CASE("random rows depend on the seed and the row") {
  const RandomTokens a(1, 1000), again(1, 1000), b(2, 1000);
  CHECK(row(a, 3, 50) == row(again, 3, 50));
  CHECK(row(a, 3, 50) != row(a, 4, 50));
  CHECK(row(a, 3, 50) != row(b, 3, 50));
  const auto longer = row(a, 3, 80);
  CHECK(row(a, 3, 50) == std::vector<std::int32_t>(longer.begin(), longer.begin() + 50));
}

TEST_CASE("random ids are even and below the vocabulary") {
  const RandomTokens source(1, 10);
  CHECK(source.vocab_size() == 10);
  CHECK(source.end_of_document() == -1);
  std::vector<int> counts(10);
  for (const std::int32_t t : row(source, 0, 10000)) ++counts.at(static_cast<std::size_t>(t));
  for (int n : counts) {
    CHECK(n > 850);
    CHECK(n < 1150);
  }
}
