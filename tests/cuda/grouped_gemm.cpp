#include "ashlar/ops/grouped_gemm/cuda.cuh"

#include <numeric>

#include "ashlar/ops/grouped_gemm/grouped_gemm.hpp"
#include "device_tensor.hpp"

using namespace ashlar;
using test::DeviceTensor;
using test::Layout;
using test::Results;
using test::TestTensor;

namespace {

/// Groups of these sizes, and `tail` rows that belong to none: they hold NaN, which may not show anywhere.
template <class T>
struct Case {
  index_t groups, rows, n, k;
  TestTensor<T> x, dy, w, dx;
  TestTensor<Acc<T>> dw;
  TestTensor<std::int32_t> offsets;

  Case(const std::vector<index_t>& sizes, index_t tail, index_t n_, index_t k_)
      : groups(static_cast<index_t>(sizes.size())),
        rows(std::accumulate(sizes.begin(), sizes.end(), tail)),
        n(n_),
        k(k_),
        x({rows, k}),
        dy({rows, n}),
        w({groups, n, k}),
        dx({rows, k}),
        dw({groups, n, k}),
        offsets({groups + 1}) {
    x.randomise(1);
    dy.randomise(2);
    w.randomise(3);
    dx.randomise(4);
    dw.randomise(5);
    offsets.at(0) = 0;
    for (index_t e = 0; e < groups; ++e)
      offsets.at(e + 1) = offsets.at(e) + static_cast<std::int32_t>(sizes[static_cast<std::size_t>(e)]);
    const T nan = T(std::numeric_limits<float>::quiet_NaN());
    for (index_t i = rows - tail; i < rows; ++i) {
      for (index_t j = 0; j < k; ++j) x.at(i, j) = nan;
      for (index_t j = 0; j < n; ++j) dy.at(i, j) = nan;
    }
  }

  void check(Layout layout) const {
    CAPTURE(groups, rows, n, k, layout.offset, layout.gap);
    test::agrees_with_cpu(
        [&](auto device) {
          using D = decltype(device);
          auto& queue = test::queue<D>();
          const DeviceTensor<T, D> dev_x(x, layout), dev_dy(dy, layout), dev_w(w, layout), y(dy.shape(), layout),
              own_dx(x.shape(), layout), given_dx(dx, layout);
          const DeviceTensor<Acc<T>, D> dev_dw(dw, layout);
          const DeviceTensor<std::int32_t, D> dev_offsets(offsets);
          ops::grouped_gemm<T, D>(queue, dev_x, dev_w, dev_offsets, y);
          ops::grouped_gemm_input_gradient<T, D>(queue, dev_dy, dev_w, dev_offsets, own_dx, false);
          ops::grouped_gemm_input_gradient<T, D>(queue, dev_dy, dev_w, dev_offsets, given_dx, true);
          ops::grouped_gemm_weight_gradient<T, D>(queue, dev_dy, dev_x, dev_offsets, dev_dw);
          return Results{{y.values(), own_dx.values(), given_dx.values(), dev_dw.values()}};
        },
        16 * test::tolerance<T>, 0.5);
  }
};

}  // namespace

TEMPLATE_TEST_CASE("grouped_gemm on Cuda agrees with Cpu", "[grouped_gemm]", float, double, bf16) {
  using T = TestType;
  int turn = 0;
  for (const std::vector<index_t>& sizes :
       {std::vector<index_t>{5}, {0}, {0, 0, 0}, {1, 0, 64, 3}, {63, 65, 0, 1}, {0, 0, 130, 0}})
    for (const index_t tail : {0, 3}) {
      const index_t n = turn % 2 ? 65 : 8, k = turn % 3 ? 24 : 67;
      Case<T>(sizes, tail, n, k).check(test::layouts[turn++ % 3]);
    }
}

TEMPLATE_TEST_CASE("grouped_gemm on Cuda: more groups than a warp has lanes", "[grouped_gemm]", float, bf16) {
  using T = TestType;
  std::vector<index_t> sizes(70, 0);
  Case<T>(sizes, 2, 9, 5).check({});
  sizes[69] = 3;
  Case<T>(sizes, 0, 9, 5).check({});
  for (std::size_t e = 0; e < sizes.size(); ++e) sizes[e] = static_cast<index_t>(e * e % 4);
  Case<T>(sizes, 65, 9, 5).check({});
}

TEST_CASE("grouped_gemm on Cuda: empty dimensions", "[grouped_gemm]") {
  Case<float>({0, 0}, 0, 8, 8).check({});
  Case<float>({2, 3}, 1, 4, 0).check({});
}

TEST_CASE("grouped_gemm on Cuda: a row's result doesn't depend on the other groups", "[grouped_gemm]") {
  const Case<float> c({4, 3, 70}, 0, 20, 33);
  const auto forward = [&](const std::vector<std::int32_t>& ends) {
    auto& queue = test::queue<Cuda>();
    TestTensor<std::int32_t> offsets({4});
    for (index_t e = 0; e < 4; ++e) offsets.at(e) = ends[static_cast<std::size_t>(e)];
    const DeviceTensor<float, Cuda> x(c.x), w(c.w), y(c.dy.shape());
    const DeviceTensor<std::int32_t, Cuda> dev_offsets(offsets);
    ops::grouped_gemm<float, Cuda>(queue, x, w, dev_offsets, y);
    return y.values();
  };
  const auto a = forward({0, 4, 7, 77}), b = forward({0, 4, 40, 60});
  CHECK(std::equal(a.begin(), a.begin() + 7 * 20, b.begin()));
  CHECK_FALSE(std::equal(a.begin(), a.begin() + 8 * 20, b.begin()));
}
