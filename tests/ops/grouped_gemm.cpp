#include "ashlar/ops/grouped_gemm/grouped_gemm.hpp"

#include "catch.hpp"
#include "test_tensor.hpp"

using namespace ashlar;
using test::TestTensor;

namespace {

Cpu::Queue queue;

/// x [R, K], w [E, N, K], dy [R, N] and groups of the given sizes, with `spare` rows of NaN after the last.
template <class T>
struct Problem {
  index_t groups, used, rows, n, k;
  TestTensor<std::int32_t> offsets;
  TestTensor<T> x, w, dy;

  Problem(const std::vector<index_t>& sizes, index_t spare, index_t n_, index_t k_, index_t gap)
      : groups(static_cast<index_t>(sizes.size())),
        used(sum(sizes)),
        rows(used + spare),
        n(n_),
        k(k_),
        offsets({groups + 1}),
        x({rows, k}, gap),
        w({groups, n, k}),
        dy({rows, n}, gap) {
    offsets.at(0) = 0;
    for (index_t e = 0; e < groups; ++e)
      offsets.at(e + 1) = offsets.at(e) + static_cast<std::int32_t>(sizes[static_cast<std::size_t>(e)]);
    x.randomise(1);
    w.randomise(2);
    dy.randomise(3);
    for (index_t i = used; i < rows; ++i) {
      for (index_t c = 0; c < k; ++c) x.at(i, c) = T(std::numeric_limits<float>::quiet_NaN());
      for (index_t c = 0; c < n; ++c) dy.at(i, c) = T(std::numeric_limits<float>::quiet_NaN());
    }
  }
  static index_t sum(const std::vector<index_t>& sizes) {
    index_t total = 0;
    for (index_t s : sizes) total += s;
    return total;
  }
  index_t group_of(index_t row) const {
    index_t e = 0;
    while (row >= offsets.at(e + 1)) ++e;
    return e;
  }
  std::vector<double> y() const {
    std::vector<double> out(static_cast<std::size_t>(rows * n));
    for (index_t i = 0; i < used; ++i)
      for (index_t j = 0; j < n; ++j)
        for (index_t l = 0; l < k; ++l)
          out[static_cast<std::size_t>(i * n + j)] += double(x.at(i, l)) * double(w.at((group_of(i) * n + j) * k + l));
    return out;
  }
  std::vector<double> dx() const {
    std::vector<double> out(static_cast<std::size_t>(rows * k));
    for (index_t i = 0; i < used; ++i)
      for (index_t l = 0; l < k; ++l)
        for (index_t j = 0; j < n; ++j)
          out[static_cast<std::size_t>(i * k + l)] += double(dy.at(i, j)) * double(w.at((group_of(i) * n + j) * k + l));
    return out;
  }
  std::vector<double> dw() const {
    std::vector<double> out(static_cast<std::size_t>(w.count()));
    for (index_t i = 0; i < used; ++i)
      for (index_t j = 0; j < n; ++j)
        for (index_t l = 0; l < k; ++l)
          out[static_cast<std::size_t>((group_of(i) * n + j) * k + l)] += double(dy.at(i, j)) * double(x.at(i, l));
    return out;
  }
};

/// Sums of up to a few hundred products of normal numbers, rounded once to T.
template <class T>
constexpr double floor_of = std::is_same_v<T, bf16> ? 0.05 : 3;

const std::vector<std::vector<index_t>> size_lists = {
    {0},          {5},       {0, 0, 0},          {1, 0, 7, 0, 0, 33, 2}, {0, 0, 64, 0}, {128, 0, 256, 0, 128},
    {7, 8, 9, 1}, {0, 0, 3}, {40, 41, 0, 39, 40}};

}  // namespace

TEMPLATE_TEST_CASE("grouped_gemm and its gradients equal a product a group", "[grouped_gemm]", double, float, bf16) {
  using T = TestType;
  for (const auto& sizes : size_lists)
    for (index_t spare : {0, 3}) {
      const index_t gap = spare ? 0 : 5, n = spare ? 17 : 40, k = spare ? 8 : 23;
      Problem<T> p(sizes, spare, n, k, gap);
      TestTensor<T> y({p.rows, n}, gap), dx({p.rows, k}, gap);
      TestTensor<Acc<T>> dw({p.groups, n, k});
      ops::grouped_gemm<T, Cpu>(queue, p.x, p.w, p.offsets, y);
      CHECK(test::max_error(y.values(), p.y(), floor_of<T>) < test::tolerance<T>);
      CHECK(y.guards_intact());

      ops::grouped_gemm_input_gradient<T, Cpu>(queue, p.dy, p.w, p.offsets, dx, false);
      CHECK(test::max_error(dx.values(), p.dx(), floor_of<T>) < test::tolerance<T>);
      CHECK(dx.guards_intact());

      dx.fill(T(2.0f));
      ops::grouped_gemm_input_gradient<T, Cpu>(queue, p.dy, p.w, p.offsets, dx, true);
      std::vector<double> want = p.dx();
      for (double& v : want) v += 2;
      CHECK(test::max_error(dx.values(), want, floor_of<T>) < test::tolerance<T>);

      dw.fill(3);
      ops::grouped_gemm_weight_gradient<T, Cpu>(queue, p.dy, p.x, p.offsets, dw);
      want = p.dw();
      for (double& v : want) v += 3;
      CHECK(test::max_error(dw.values(), want, 3) < test::tolerance<Acc<T>>);
      CHECK(dw.guards_intact());

      ops::grouped_gemm_weight_gradient<T, Cpu>(queue, p.dy, p.x, p.offsets, dw, false);
      CHECK(test::max_error(dw.values(), p.dw(), 3) < test::tolerance<Acc<T>>);

      ops::grouped_gemm_input_gradient_of_two<T, Cpu>(queue, p.dy, p.w, p.dy, p.w, p.offsets, dx);
      want = p.dx();
      for (double& v : want) v *= 2;
      CHECK(test::max_error(dx.values(), want, floor_of<T>) < 2 * test::tolerance<T>);
    }
}

TEST_CASE("grouped_gemm's gradients are its derivatives", "[grouped_gemm]") {
  Problem<double> p({3, 0, 4}, 2, 5, 6, 1);
  for (index_t i = p.used; i < p.rows; ++i)
    for (index_t c = 0; c < 6; ++c) p.x.at(i, c) = 1;  // finite, so that differences can be taken
  TestTensor<double> weight({p.rows, 5}, 1), y({p.rows, 5}), dx({p.rows, 6}), dw({3, 5, 6});
  weight.randomise(9);
  const auto loss = [&] {
    ops::grouped_gemm<double, Cpu>(queue, p.x, p.w, p.offsets, y);
    return test::inner(y, weight);
  };
  ops::grouped_gemm_input_gradient<double, Cpu>(queue, weight, p.w, p.offsets, dx, false);
  dw.fill(0);
  ops::grouped_gemm_weight_gradient<double, Cpu>(queue, weight, p.x, p.offsets, dw);
  CHECK(test::max_error(dx.values(), test::finite_differences(p.x, loss)) < 1e-7);
  CHECK(test::max_error(dw.values(), test::finite_differences(p.w, loss)) < 1e-7);
}

TEST_CASE("grouped_gemm: a row's result doesn't depend on other groups, and large groups work", "[grouped_gemm]") {
  // 96 rows of 256 x 256 take more operations than products that run beside each other may.
  Problem<float> p({96, 2, 0, 70}, 0, 256, 256, 0);
  TestTensor<float> y({p.rows, 256}), dx({p.rows, 256}), dw({4, 256, 256});
  ops::grouped_gemm<float, Cpu>(queue, p.x, p.w, p.offsets, y);
  ops::grouped_gemm_input_gradient<float, Cpu>(queue, p.dy, p.w, p.offsets, dx, false);
  dw.fill(0);
  ops::grouped_gemm_weight_gradient<float, Cpu>(queue, p.dy, p.x, p.offsets, dw);
  CHECK(test::max_error(y.values(), p.y(), 16) < 4e-6);
  CHECK(test::max_error(dx.values(), p.dx(), 16) < 4e-6);
  CHECK(test::max_error(dw.values(), p.dw(), 16) < 4e-6);

  TestTensor<float> again({p.rows, 256});
  for (index_t i = 0; i < 96 * 256; ++i) p.x.at(i) = 0;
  ops::grouped_gemm<float, Cpu>(queue, p.x, p.w, p.offsets, again);
  for (index_t i = 96; i < p.rows; ++i)
    for (index_t c = 0; c < 256; ++c) REQUIRE(again.at(i, c) == y.at(i, c));
}

TEST_CASE("grouped_gemm rejects shapes that don't match", "[grouped_gemm]") {
  TestTensor<float> x({4, 3}), w({2, 5, 3}), y({4, 6});
  TestTensor<std::int32_t> offsets({3}, {0, 1, 4});
  CHECK_THROWS_AS((ops::grouped_gemm<float, Cpu>(queue, x, w, offsets, y)), Error);
}
