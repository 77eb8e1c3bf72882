#include "ashlar/ops/heads/heads.hpp"

#include "catch.hpp"
#include "ops/test_tensor.hpp"

using namespace ashlar;
using ops::HeadColumns;

namespace {

// Where the element at (row, head, column) of rows of heads is.
std::size_t at(const HeadColumns& c, index_t row, index_t head, index_t column) {
  return static_cast<std::size_t>((row * c.heads + head) * c.head_dim + c.begin + column);
}

std::vector<double> numbers(index_t n) {
  std::vector<double> x(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<double>(i + 1);
  return x;
}

}  // namespace

TEST_CASE("columns of heads are copied, spread and summed, and the rest stays") {
  for (const auto& [from, to] : {std::pair<HeadColumns, HeadColumns>{{3, 4, 1}, {3, 6, 2}},
                                 {{1, 5, 3}, {4, 3, 1}},
                                 {{4, 3, 1}, {1, 5, 3}},
                                 {{1, 2, 0}, {1, 2, 0}}})
    for (const index_t rows : {0, 1, 5}) {
      constexpr index_t width = 2;
      const auto x = numbers(rows * from.heads * from.head_dim);
      std::vector<double> y(static_cast<std::size_t>(rows * to.heads * to.head_dim), -7), want = y;
      for (index_t r = 0; r < rows; ++r)
        for (index_t h = 0; h < to.heads; ++h)
          for (index_t j = 0; j < width; ++j) {
            double sum = 0;
            if (from.heads == to.heads || from.heads == 1)
              sum = x[at(from, r, from.heads == 1 ? 0 : h, j)];
            else
              for (index_t k = 0; k < from.heads; ++k) sum += x[at(from, r, k, j)];
            want[at(to, r, h, j)] = sum;
          }
      Cpu::Queue queue;
      ops::move_heads<double, Cpu>(queue, {x.data(), {rows, from.heads * from.head_dim}}, from,
                                   {y.data(), {rows, to.heads * to.head_dim}}, to, width);
      CHECK(y == want);
    }
}

TEST_CASE("sums of bf16 heads are added in float and rounded once") {
  const bf16 x[] = {bf16(256), bf16(1), bf16(1), bf16(1)};
  bf16 y[1];
  Cpu::Queue queue;
  ops::move_heads<bf16, Cpu>(queue, {x, {1, 4}}, {4, 1, 0}, {y, {1, 1}}, {1, 1, 0}, 1);
  CHECK(float(y[0]) == float(bf16(259)));  // one by one it would stay at 256
}

TEST_CASE("columns that do not fit are refused") {
  double x[6] = {}, y[6] = {};
  Cpu::Queue queue;
  CHECK_THROWS_AS((ops::move_heads<double, Cpu>(queue, {x, {1, 6}}, {2, 3, 2}, {y, {1, 6}}, {2, 3, 0}, 2)), Error);
  CHECK_THROWS_AS((ops::move_heads<double, Cpu>(queue, {x, {1, 6}}, {2, 3, 0}, {y, {1, 6}}, {3, 2, 0}, 2)), Error);
}
