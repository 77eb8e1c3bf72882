#include "ashlar/ops/rope/rope.hpp"

#include "catch.hpp"
#include "test_tensor.hpp"

using namespace ashlar;
using ops::Direction;
using ops::Pairs;
using ops::RopeShape;
using test::TestTensor;

namespace {

Cpu::Queue queue;

double angle(index_t position, index_t pair, index_t width) {
  return double(position) * std::pow(10000.0, -2.0 * double(pair) / double(width));
}

template <class A>
TestTensor<A> table(index_t positions, index_t width) {
  TestTensor<A> out({positions, width});
  for (index_t p = 0; p < positions; ++p)
    for (index_t i = 0; i < width / 2; ++i) {
      out.at(p, 2 * i) = A(std::cos(angle(p, i, width)));
      out.at(p, 2 * i + 1) = A(std::sin(angle(p, i, width)));
    }
  return out;
}

/// What rope makes of x, in double, row r at position_of(r).
template <class T, class Position>
std::vector<double> reference(const TestTensor<T>& x, const RopeShape& s, Position position_of) {
  std::vector<double> out = x.values();
  for (index_t r = 0; r < x.rows(); ++r)
    for (index_t h = 0; h < s.heads; ++h)
      for (index_t i = 0; i < s.width / 2; ++i) {
        const index_t head = h * s.head_dim + s.begin;
        const index_t c = head + (s.pairs == Pairs::interleaved ? 2 * i : i);
        const index_t partner = s.pairs == Pairs::interleaved ? c + 1 : c + s.width / 2;
        const double a = angle(position_of(r), i, s.width), first = double(x.at(r, c)),
                     second = double(x.at(r, partner));
        out[static_cast<std::size_t>(r * x.cols() + c)] = first * std::cos(a) - second * std::sin(a);
        out[static_cast<std::size_t>(r * x.cols() + partner)] = first * std::sin(a) + second * std::cos(a);
      }
  return out;
}

/// A table of one position, at which pair i turns by angles[i].
TestTensor<double> turn_by(const std::vector<double>& angles) {
  TestTensor<double> out({1, 2 * static_cast<index_t>(angles.size())});
  for (std::size_t i = 0; i < angles.size(); ++i) {
    out.at(static_cast<index_t>(2 * i)) = std::cos(angles[i]);
    out.at(static_cast<index_t>(2 * i + 1)) = std::sin(angles[i]);
  }
  return out;
}

constexpr double pi = 3.14159265358979323846;

}  // namespace

TEMPLATE_TEST_CASE("rope turns each pair by its position's angle", "[rope]", double, float, bf16) {
  using T = TestType;
  struct Case {
    index_t rows;
    RopeShape shape;
    index_t seq_len, offset, gap;
  };
  for (Case c :
       {Case{0, {1, 2, 0, 2}, 4, 0, 0}, Case{1, {1, 2, 0, 2}, 1, 3, 0}, Case{6, {3, 10, 0, 10}, 3, 2, 0},
        Case{7, {2, 64, 0, 64}, 7, 0, 9}, Case{600, {1, 64, 0, 64}, 200, 56, 0}, Case{33, {2, 192, 128, 64}, 11, 7, 5},
        Case{5, {3, 11, 3, 6}, 5, 0, 0}, Case{5, {2, 8, 2, 0}, 5, 0, 0}})
    for (const Pairs pairs : {Pairs::interleaved, Pairs::halves}) {
      c.shape.pairs = pairs;
      CAPTURE(c.rows, c.shape.heads, c.shape.head_dim, c.shape.begin, c.shape.width, pairs == Pairs::halves);
      TestTensor<T> x({c.rows, c.shape.heads * c.shape.head_dim}, c.gap);
      auto angles = table<Acc<T>>(256, c.shape.width);
      x.randomise(1);
      const TestTensor<T> before = x;
      const auto want = reference(x, c.shape, [&](index_t r) { return c.offset + r % c.seq_len; });
      ops::rope<T, Cpu>(queue, x, c.shape, {c.seq_len, c.offset}, angles, Direction::forward);
      CHECK(test::max_error(x.values(), want, 1) < test::tolerance<T>);
      CHECK(x.guards_intact());
      for (index_t i = 0; i < x.count(); ++i)  // the other columns keep their bits
        if (const index_t column = i % x.cols() % c.shape.head_dim;
            column < c.shape.begin || column >= c.shape.begin + c.shape.width)
          REQUIRE(double(x.at(i)) == double(before.at(i)));
      ops::rope<T, Cpu>(queue, x, c.shape, {c.seq_len, c.offset}, angles, Direction::backward);
      CHECK(test::max_error(x.values(), before.values(), 1) <
            3 * test::tolerance<T>);  // the other of a pair was rounded
    }
}

TEST_CASE("rope by hand", "[rope]") {
  // Pair 0 turns by a quarter, from (a, b) to (-b, a); pair 1 by a half, from (a, b) to (-a, -b); pair 2 stays.
  auto turns = turn_by({pi / 2, pi, 0});
  const auto turned = [&](const RopeShape& shape, Direction direction) {
    TestTensor<double> x({1, 8}, {1, 2, 3, 4, 5, 6, 7, 8});
    ops::rope<double, Cpu>(queue, x.view(), shape, {1, 0}, turns, direction);
    return x.values();
  };
  const auto equal = [](const std::vector<double>& got, const std::vector<double>& want) {
    return test::max_error(got, want, 1) < 1e-15;
  };
  using V = std::vector<double>;
  CHECK(equal(turned({1, 8, 0, 6, Pairs::interleaved}, Direction::forward), V{-2, 1, -3, -4, 5, 6, 7, 8}));
  CHECK(equal(turned({1, 8, 0, 6, Pairs::halves}, Direction::forward), V{-4, -2, 3, 1, -5, 6, 7, 8}));
  CHECK(equal(turned({1, 8, 2, 6, Pairs::interleaved}, Direction::forward), V{1, 2, -4, 3, -5, -6, 7, 8}));
  CHECK(equal(turned({1, 8, 2, 6, Pairs::halves}, Direction::forward), V{1, 2, -6, -4, 5, 3, -7, 8}));
  CHECK(equal(turned({1, 8, 0, 6, Pairs::interleaved}, Direction::backward), V{2, -1, -3, -4, 5, 6, 7, 8}));
  CHECK(equal(turned({1, 8, 0, 6, Pairs::halves}, Direction::backward), V{4, -2, 3, -1, -5, 6, 7, 8}));
  turns = turn_by({pi / 2});
  CHECK(equal(turned({2, 4, 1, 2, Pairs::halves}, Direction::forward), V{1, -3, 2, 4, 5, -7, 6, 8}));
}

TEST_CASE("the two kinds of pairs differ by a permutation of columns", "[rope]") {
  auto angles = table<double>(16, 10);
  TestTensor<double> interleaved({16, 10}), halves({16, 10});
  interleaved.randomise(1);
  const auto permuted = [](index_t c) { return c % 2 * 5 + c / 2; };  // (2i, 2i + 1) to (i, i + 5)
  for (index_t r = 0; r < 16; ++r)
    for (index_t c = 0; c < 10; ++c) halves.at(r, permuted(c)) = interleaved.at(r, c);
  ops::rope<double, Cpu>(queue, interleaved.view(), {1, 10, 0, 10, Pairs::interleaved}, {16}, angles, {});
  ops::rope<double, Cpu>(queue, halves.view(), {1, 10, 0, 10, Pairs::halves}, {16}, angles, {});
  for (index_t r = 0; r < 16; ++r)
    for (index_t c = 0; c < 10; ++c) CHECK(halves.at(r, permuted(c)) == Approx(interleaved.at(r, c)));
}

TEST_CASE("rope takes each row's position from an array", "[rope]") {
  auto angles = table<float>(40, 6);
  TestTensor<std::int32_t> positions({7}, {3, 4, 5, 0, 1, 36, 2});
  for (const Pairs pairs : {Pairs::interleaved, Pairs::halves}) {
    const RopeShape shape{2, 8, 2, 6, pairs};
    TestTensor<float> x({7, 16});
    x.randomise(1);
    const auto want = reference(x, shape, [&](index_t r) { return 3 + positions.at(r); });
    ops::rope<float, Cpu>(queue, x, shape, {1, 3, positions.view()}, angles, Direction::forward);
    CHECK(test::max_error(x.values(), want, 1) < test::tolerance<float>);
  }
}

TEST_CASE("rope backward is the derivative of rope", "[rope]") {
  auto angles = table<double>(8, 6);
  TestTensor<std::int32_t> positions({4}, {7, 0, 2, 1});
  for (const Pairs pairs : {Pairs::interleaved, Pairs::halves})
    for (const ops::RopePositions<Cpu>& at : {ops::RopePositions<Cpu>{2, 5}, {1, 0, positions.view()}}) {
      TestTensor<double> x({4, 14}), dy({4, 14});
      x.randomise(1);
      dy.randomise(2);
      const RopeShape shape{2, 7, 1, 6, pairs};
      const auto loss = [&] {
        TestTensor<double> y = x;
        ops::rope<double, Cpu>(queue, y.view(), shape, at, angles, Direction::forward);
        return test::inner(y, dy);
      };
      const auto want = test::finite_differences(x, loss);
      ops::rope<double, Cpu>(queue, dy.view(), shape, at, angles, Direction::backward);
      CHECK(test::max_error(dy.values(), want, 1) < 1e-8);
    }
}

TEST_CASE("after rope, products of queries and keys depend on the distance alone", "[rope]") {
  auto angles = table<double>(64, 16);
  TestTensor<double> q({1, 16}), k({1, 16});
  q.randomise(1);
  k.randomise(2);
  for (const Pairs pairs : {Pairs::interleaved, Pairs::halves}) {
    const auto product = [&](index_t q_position, index_t k_position) {
      TestTensor<double> a = q, b = k;
      ops::rope<double, Cpu>(queue, a.view(), {1, 16, 0, 16, pairs}, {1, q_position}, angles, Direction::forward);
      ops::rope<double, Cpu>(queue, b.view(), {1, 16, 0, 16, pairs}, {1, k_position}, angles, Direction::forward);
      return test::inner(a, b);
    };
    CHECK(product(9, 4) == Approx(product(63, 58)));
    CHECK(product(9, 4) == Approx(product(5, 0)));
    CHECK(product(9, 4) != Approx(product(9, 5)));
  }
}

TEST_CASE("rope refuses positions past the table, and columns that are not there", "[rope]") {
  TestTensor<float> x({8, 4});
  auto angles = table<float>(8, 4);
  x.fill(1);
  const auto turn = [&](const RopeShape& shape, const ops::RopePositions<Cpu>& positions) {
    ops::rope<float, Cpu>(queue, x.view(), shape, positions, angles, Direction::forward);
  };
  CHECK_NOTHROW(turn({1, 4, 0, 4}, {4, 4}));
  CHECK_THROWS_AS(turn({1, 4, 0, 4}, {4, 5}), Error);
  CHECK_THROWS_AS(turn({2, 2, 0, 2}, {4, 0}), Error);  // the table is 4 wide
  CHECK_THROWS_AS(turn({1, 4, 1, 4}, {4, 0}), Error);
  CHECK_THROWS_AS(turn({2, 4, 0, 4}, {4, 0}), Error);
  TestTensor<std::int32_t> positions({8}, {0, 1, 2, 3, 4, 5, 6, 7});
  CHECK_NOTHROW(turn({1, 4, 0, 4}, {1, 0, positions.view()}));
  CHECK_THROWS_AS(turn({1, 4, 0, 4}, {1, 1, positions.view()}), Error);
  CHECK_THROWS_AS(turn({1, 4, 0, 4}, {1, 0, {positions.view().data(), {7}}}), Error);  // one for each row
  positions.at(3) = -1;
  CHECK_THROWS_AS(turn({1, 4, 0, 4}, {1, 0, positions.view()}), Error);
}
