#include "ashlar/ops/rope/rope.hpp"

#include "catch.hpp"
#include "test_tensor.hpp"

using namespace ashlar;
using ops::Direction;
using test::TestTensor;

namespace {

Cpu::Queue queue;

double angle(index_t position, index_t pair, index_t head_dim) {
  return double(position) * std::pow(10000.0, -2.0 * double(pair) / double(head_dim));
}

template <class A>
TestTensor<A> table(index_t positions, index_t head_dim) {
  TestTensor<A> out({positions, head_dim});
  for (index_t p = 0; p < positions; ++p)
    for (index_t i = 0; i < head_dim / 2; ++i) {
      out.at(p, 2 * i) = A(std::cos(angle(p, i, head_dim)));
      out.at(p, 2 * i + 1) = A(std::sin(angle(p, i, head_dim)));
    }
  return out;
}

}  // namespace

TEMPLATE_TEST_CASE("rope turns each pair by its position's angle", "[rope]", double, float, bf16) {
  using T = TestType;
  struct Case {
    index_t rows, heads, head_dim, seq_len, offset, gap;
  };
  for (const Case c : {Case{0, 1, 2, 4, 0, 0}, Case{1, 1, 2, 1, 3, 0}, Case{6, 3, 10, 3, 2, 0}, Case{7, 2, 64, 7, 0, 9},
                       Case{600, 1, 64, 200, 56, 0}}) {
    TestTensor<T> x({c.rows, c.heads * c.head_dim}, c.gap);
    auto angles = table<Acc<T>>(256, c.head_dim);
    x.randomise(1);
    const TestTensor<T> before = x;
    std::vector<double> want;
    for (index_t r = 0; r < c.rows; ++r)
      for (index_t i = 0; i < x.cols() / 2; ++i) {
        const double a = angle(c.offset + r % c.seq_len, i % (c.head_dim / 2), c.head_dim);
        const double even = double(x.at(r, 2 * i)), odd = double(x.at(r, 2 * i + 1));
        want.push_back(even * std::cos(a) - odd * std::sin(a));
        want.push_back(even * std::sin(a) + odd * std::cos(a));
      }
    ops::rope<T, Cpu>(queue, x, c.head_dim, c.seq_len, c.offset, angles, Direction::forward);
    CHECK(test::max_error(x.values(), want, 1) < test::tolerance<T>);
    CHECK(x.guards_intact());
    ops::rope<T, Cpu>(queue, x, c.head_dim, c.seq_len, c.offset, angles, Direction::backward);
    CHECK(test::max_error(x.values(), before.values(), 1) < 2 * test::tolerance<T>);
  }
}

TEST_CASE("rope backward is the derivative of rope", "[rope]") {
  TestTensor<double> x({4, 12}), dy({4, 12});
  auto angles = table<double>(8, 6);
  x.randomise(1);
  dy.randomise(2);
  const auto loss = [&] {
    TestTensor<double> y = x;
    ops::rope<double, Cpu>(queue, y.view(), 6, 2, 5, angles, Direction::forward);
    return test::inner(y, dy);
  };
  const auto want = test::finite_differences(x, loss);
  ops::rope<double, Cpu>(queue, dy.view(), 6, 2, 5, angles, Direction::backward);
  CHECK(test::max_error(dy.values(), want, 1) < 1e-8);
}

TEST_CASE("after rope, products of queries and keys depend on the distance alone", "[rope]") {
  auto angles = table<double>(64, 16);
  TestTensor<double> q({1, 16}), k({1, 16});
  q.randomise(1);
  k.randomise(2);
  const auto product = [&](index_t q_position, index_t k_position) {
    TestTensor<double> a = q, b = k;
    ops::rope<double, Cpu>(queue, a.view(), 16, 1, q_position, angles, Direction::forward);
    ops::rope<double, Cpu>(queue, b.view(), 16, 1, k_position, angles, Direction::forward);
    return test::inner(a, b);
  };
  CHECK(product(9, 4) == Approx(product(63, 58)));
  CHECK(product(9, 4) == Approx(product(5, 0)));
  CHECK(product(9, 4) != Approx(product(9, 5)));
}

TEST_CASE("rope refuses positions past the table", "[rope]") {
  TestTensor<float> x({8, 4});
  auto angles = table<float>(8, 4);
  x.fill(1);
  CHECK_NOTHROW(ops::rope<float, Cpu>(queue, x.view(), 4, 4, 4, angles, Direction::forward));
  CHECK_THROWS_AS((ops::rope<float, Cpu>(queue, x.view(), 4, 4, 5, angles, Direction::forward)), Error);
  CHECK_THROWS_AS((ops::rope<float, Cpu>(queue, x.view(), 2, 4, 0, angles, Direction::forward)), Error);
}
