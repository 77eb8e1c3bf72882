#include "ashlar/ops/muon/newton_schulz.hpp"

#include "catch.hpp"
#include "test_tensor.hpp"

using namespace ashlar;
using test::TestTensor;

namespace {

Cpu::Queue queue;

/// The quintic, five times: what becomes of a singular value.
double taken_to_one(double s) {
  for (int i = 0; i < 5; ++i) s = 3.4445 * s - 4.7750 * s * s * s + 2.0315 * s * s * s * s * s;
  return s;
}

/// newton_schulz with memory of its own.
template <class T>
void orthogonalize(TestTensor<T>& x, int steps = 5) {
  const auto n = ops::newton_schulz_workspace(x.rows(), x.cols());
  TestTensor<Acc<T>> product({n.product});
  TestTensor<T> gram({n.gram}), polynomial({n.gram});
  ops::newton_schulz<T, Cpu>(queue, x.view(), steps, product, gram, polynomial);
  CHECK((product.guards_intact() && gram.guards_intact() && polynomial.guards_intact()));
}

/// An orthogonal matrix [n, n]: I - 2 v v^T / (v^T v).
std::vector<double> reflection(index_t n, std::uint64_t seed) {
  TestTensor<double> v({n});
  v.randomise(seed);
  const double squares = test::inner(v, v);
  std::vector<double> q(static_cast<std::size_t>(n * n));
  for (index_t i = 0; i < n; ++i)
    for (index_t j = 0; j < n; ++j) q[static_cast<std::size_t>(i * n + j)] = (i == j) - 2 * v.at(i) * v.at(j) / squares;
  return q;
}

/// U diag(s) V^T of two reflections, for [rows, cols].
template <class T>
TestTensor<T> with_singular_values(index_t rows, index_t cols, const std::vector<double>& s) {
  const std::vector<double> u = reflection(rows, 1), v = reflection(cols, 2);
  TestTensor<T> x({rows, cols});
  for (index_t i = 0; i < rows; ++i)
    for (index_t j = 0; j < cols; ++j) {
      double sum = 0;
      for (index_t k = 0; k < std::min(rows, cols); ++k)
        sum += u[static_cast<std::size_t>(i * rows + k)] * s[static_cast<std::size_t>(k)] *
               v[static_cast<std::size_t>(j * cols + k)];
      x.at(i, j) = T(static_cast<Acc<T>>(sum));
    }
  return x;
}

}  // namespace

TEMPLATE_TEST_CASE("momentum equals its formula, with and without a look ahead", "[muon]", double, float, bf16) {
  using T = TestType;
  using A = Acc<T>;
  for (const bool nesterov : {false, true})
    for (const index_t n : {0, 1, 1023, 40000}) {
      TestTensor<A> gradient({n}), buffer({n}), scale({1}, {A(0.5)});
      TestTensor<T> direction({n});
      gradient.randomise(1);
      buffer.randomise(2);
      const auto b = buffer.values();
      ops::momentum<T, Cpu>(queue, {0.9, nesterov}, scale, gradient, buffer, direction.view());
      std::vector<double> want_buffer, want;
      for (index_t i = 0; i < n; ++i) {
        const double g = 0.5 * double(gradient.at(i)), now = 0.9 * b[std::size_t(i)] + 0.1 * g;
        want_buffer.push_back(now);
        want.push_back(nesterov ? 0.1 * g + 0.9 * now : now);
      }
      CHECK(test::max_error(buffer.values(), want_buffer) < test::tolerance<A>);
      CHECK(test::max_error(direction.values(), want) < test::tolerance<T>);
      CHECK((buffer.guards_intact() && direction.guards_intact()));
      const TestTensor<A> before = buffer;
      scale.at(0) = std::numeric_limits<A>::quiet_NaN();
      ops::momentum<T, Cpu>(queue, {0.9, nesterov}, scale, gradient, buffer, direction.view());
      CHECK(buffer.same_bits(before));
      CHECK(direction.values() == std::vector<double>(static_cast<std::size_t>(n)));
    }
}

TEMPLATE_TEST_CASE("normalize, combine and descend equal their formulas", "[muon]", double, float, bf16) {
  using T = TestType;
  using A = Acc<T>;
  const index_t rows = 7, cols = 9;
  TestTensor<T> x({rows, cols}, 3), out({rows, cols}, 2);
  TestTensor<double> sum({1}, {6.25});
  x.randomise(1);
  std::vector<double> want;
  for (const double v : x.values()) want.push_back(v / 2.5);
  ops::normalize<T, Cpu>(queue, x, sum, 1e-7, out.view());
  CHECK(test::max_error(out.values(), want) < test::tolerance<T>);
  CHECK(out.guards_intact());
  sum.at(0) = 0;  // nothing is divided by 0
  ops::normalize<T, Cpu>(queue, x.fill(T(A(0))), sum, 1e-7, out.view());
  CHECK(out.values() == std::vector<double>(63));

  TestTensor<T> a({63}), b({63});
  TestTensor<A> y({63});
  a.randomise(3);
  y.randomise(4);
  want.clear();
  for (index_t i = 0; i < 63; ++i) want.push_back(-1.5 * double(a.at(i)) + 0.75 * double(y.at(i)));
  ops::combine<T, Cpu>(queue, -1.5, a, 0.75, y, b.view());
  CHECK(test::max_error(b.values(), want) < test::tolerance<T>);
  ops::combine<T, Cpu>(queue, -1.5, a, 0.75, y, a.view());  // in place
  CHECK(a.same_bits(b));

  TestTensor<T> direction({rows, cols}, 4), copy({20});
  TestTensor<A> parameter({20}), scale({1}, {A(1)});
  direction.randomise(5);
  parameter.randomise(6);
  want.clear();
  for (index_t i = 0; i < 20; ++i)  // elements 13 .. 33 of the direction: from row 1 on
    want.push_back(double(parameter.at(i)) * (1 - 0.1 * 0.5) - 0.3 * double(direction.at(13 + i)));
  ops::descend<T, Cpu>(queue, {0.1, 0.5, 0.3}, scale, direction, 13, parameter, copy.view());
  CHECK(test::max_error(parameter.values(), want) < test::tolerance<A>);
  CHECK(test::max_error(copy.values(), want) < test::tolerance<T>);
  const TestTensor<A> before = parameter;
  scale.at(0) = std::numeric_limits<A>::infinity();
  ops::descend<T, Cpu>(queue, {0.1, 0.5, 0.3}, scale, direction, 13, parameter, copy.view());
  CHECK(parameter.same_bits(before));
  CHECK_THROWS_AS((ops::descend<T, Cpu>(queue, {}, scale, direction, 44, parameter, copy.view())), Error);
}

TEST_CASE("newton_schulz takes singular values through the quintic and leaves their vectors", "[muon]") {
  for (const auto& [rows, cols] : std::vector<std::pair<index_t, index_t>>{{6, 6}, {4, 9}, {9, 4}, {1, 5}, {5, 1}}) {
    CAPTURE(rows, cols);
    const auto n = static_cast<std::size_t>(std::min(rows, cols));
    std::vector<double> s{0.8, 0.5, 0.1, 0.02, 0.3, 0.001}, want;
    s.resize(n);
    for (const double v : s) want.push_back(taken_to_one(v));
    auto x = with_singular_values<double>(rows, cols, s);
    orthogonalize(x);
    CHECK(test::max_error(x.values(), with_singular_values<double>(rows, cols, want).values(), 1) < 1e-12);
    auto rounded = with_singular_values<bf16>(rows, cols, s);
    orthogonalize(rounded);
    CHECK(test::max_error(rounded.values(), with_singular_values<double>(rows, cols, want).values(), 1) < 0.1);
    auto once = with_singular_values<double>(rows, cols, s);
    orthogonalize(once, 0);
    CHECK(once.same_bits(with_singular_values<double>(rows, cols, s)));
  }
}

TEST_CASE("five steps take what is not tiny to 0.68 .. 1.13, as published", "[muon]") {
  double least = 10, most = 0;
  for (double s = 0.01; s <= 1; s += 0.0001) {
    least = std::min(least, taken_to_one(s));
    most = std::max(most, taken_to_one(s));
  }
  CHECK(least == Approx(0.68).margin(0.01));
  CHECK(most == Approx(1.13).margin(0.01));
  TestTensor<double> x({12, 20});
  x.randomise(1);
  TestTensor<double> sum({1}, {test::inner(x, x)});
  ops::normalize<double, Cpu>(queue, x, sum, 1e-7, x.view());
  orthogonalize(x);
  for (index_t i = 0; i < 12; ++i)
    for (index_t k = 0; k < 12; ++k) {
      double dot = 0;
      for (index_t j = 0; j < 20; ++j) dot += x.at(i, j) * x.at(k, j);
      CHECK(std::abs(dot - (i == k ? 0.9 : 0)) < 0.4);  // near orthonormal rows
    }
}

TEST_CASE("what Muon's passes cost is counted on Meta", "[muon]") {
  Meta::Queue meta;
  using View = TensorView<float, Meta>;
  const View x(nullptr, {4, 8}), product(nullptr, {32}), gram(nullptr, {16});
  ops::newton_schulz<float, Meta>(meta, x, 5, product, gram, gram);
  CHECK(meta.total.flops == 5 * (2.0 * 4 * 4 * 8 + 2.0 * 4 * 4 * 4 + 3 * 16 + 2.0 * 4 * 4 * 8 + 3 * 32));
}
