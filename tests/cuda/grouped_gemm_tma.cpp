// The Hopper kernels of grouped GEMM, each plan by itself, against Cpu: every schedule of the emulator, or a GPU.
#include <numeric>

#include "ashlar/ops/grouped_gemm/cuda.cuh"
#include "ashlar/ops/grouped_gemm/grouped_gemm.hpp"
#include "ashlar/ops/swiglu/swiglu.hpp"
#include "device_tensor.hpp"

using namespace ashlar;
using test::DeviceTensor;
using test::Layout;
using test::Results;
using test::TestTensor;
namespace grouped = ashlar::ops::cuda::grouped;

namespace {

/// The presets, and two others: drawn where warpgroups share tiles, and with deeper stages of fewer rows.
constexpr ops::GroupedGemmPlan plans[]{ops::grouped_gemm_wide,
                                       ops::grouped_gemm_turns,
                                       ops::grouped_gemm_narrow,
                                       ops::grouped_gemm_stream,
                                       {ops::TileSharing::cooperative, 128, 256, 64, 4, 16, ops::TileOrder::drawn},
                                       {ops::TileSharing::ping_pong, 64, 128, 128, 4, 2, ops::TileOrder::strided}};

template <class Body, std::size_t... I>
void for_each_plan(Body body, std::index_sequence<I...>) {
  (body.template operator()<plans[I]>(), ...);
}
template <class Body>
void for_each_plan(Body body) {
  for_each_plan(body, std::make_index_sequence<std::size(plans)>());
}

/// Groups of these sizes, and `tail` rows that belong to none: they hold NaN, which may not show anywhere.
struct Case {
  index_t groups, rows, n, k;
  TestTensor<bf16> x, dy, w, dx;
  TestTensor<float> dw;
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
    const bf16 nan(std::numeric_limits<float>::quiet_NaN());
    for (index_t i = rows - tail; i < rows; ++i) {
      for (index_t j = 0; j < k; ++j) x.at(i, j) = nan;
      for (index_t j = 0; j < n; ++j) dy.at(i, j) = nan;
    }
  }

  template <ops::GroupedGemmPlan Plan>
  void check(Layout layout) const {
    CAPTURE(groups, rows, n, k, layout.offset, layout.gap, Plan.rows, Plan.cols, Plan.depth,
            static_cast<int>(Plan.order));
    test::agrees_with_cpu(
        [&](auto device) {
          using D = decltype(device);
          auto& queue = test::queue<D>();
          const DeviceTensor<bf16, D> dev_x(x, layout), dev_dy(dy, layout), dev_w(w, layout), y(dy.shape(), layout),
              own_dx(x.shape(), layout), given_dx(dx, layout);
          const DeviceTensor<float, D> given_dw(dw, layout), own_dw(dw.shape(), layout);
          const DeviceTensor<std::int32_t, D> dev_offsets(offsets);
          if constexpr (std::is_same_v<D, Cpu>) {
            ops::grouped_gemm<bf16, D>(queue, dev_x, dev_w, dev_offsets, y);
            ops::grouped_gemm_input_gradient<bf16, D>(queue, dev_dy, dev_w, dev_offsets, own_dx, false);
            ops::grouped_gemm_input_gradient<bf16, D>(queue, dev_dy, dev_w, dev_offsets, given_dx, true);
            ops::grouped_gemm_weight_gradient<bf16, D>(queue, dev_dy, dev_x, dev_offsets, given_dw, true);
            ops::grouped_gemm_weight_gradient<bf16, D>(queue, dev_dy, dev_x, dev_offsets, own_dw, false);
          } else {
            grouped::output<Plan>(queue, dev_x, dev_w, dev_offsets, y);
            grouped::input_gradient<Plan>(queue, dev_dy, dev_w, dev_offsets, own_dx, false);
            grouped::input_gradient<Plan>(queue, dev_dy, dev_w, dev_offsets, given_dx, true);
            grouped::weight_gradient<Plan>(queue, dev_dy, dev_x, dev_offsets, given_dw, true);
            grouped::weight_gradient<Plan>(queue, dev_dy, dev_x, dev_offsets, own_dw, false);
          }
          return Results{{y.values(), own_dx.values(), given_dx.values(), given_dw.values(), own_dw.values()}};
        },
        16 * test::tolerance<bf16>, 0.5);
  }
};

bool has_the_instructions() {
  if (grouped::has_hopper()) return true;
  WARN("no Hopper GPU: nothing was run");
  return false;
}

}  // namespace

TEST_CASE("grouped_gemm by the copy engine agrees with Cpu", "[grouped_gemm]") {
  if (!has_the_instructions()) return;
  int turn = 0;
  for (const std::vector<index_t>& sizes :
       {std::vector<index_t>{1, 0, 127, 3}, {0, 0, 5}, {129, 0, 128}, {64, 300, 0, 1}}) {
    const index_t n = std::array{8, 72, 264, 136}[turn % 4], k = std::array{72, 320, 8, 200}[turn % 4];
    const Case c(sizes, turn % 2 ? 3 : 130, n, k);
    for_each_plan([&]<ops::GroupedGemmPlan Plan>() { c.check<Plan>(turn % 2 ? Layout{8, 16} : Layout{}); });
    ++turn;
  }
}

TEST_CASE("grouped_gemm by the copy engine: more groups than a warp has lanes", "[grouped_gemm]") {
  if (!has_the_instructions()) return;
  std::vector<index_t> sizes(70, 0);
  Case(sizes, 2, 72, 8).check<ops::grouped_gemm_turns>({});
  for (std::size_t e = 0; e < sizes.size(); ++e) sizes[e] = static_cast<index_t>(e * e % 4);
  const Case c(sizes, 65, 72, 24);
  for_each_plan([&]<ops::GroupedGemmPlan Plan>() { c.check<Plan>({}); });
}

TEST_CASE("grouped_gemm by the copy engine: SwiGLU inside of the up-projections, and the gradient of both",
          "[grouped_gemm]") {
  if (!has_the_instructions()) return;
  int turn = 0;
  for (const std::vector<index_t>& sizes : {std::vector<index_t>{1, 0, 127, 3}, {0, 129, 0, 40}}) {
    const Layout layout = turn ? Layout{8, 16} : Layout{};
    const Case c(sizes, turn ? 3 : 70, turn ? 136 : 72, turn ? 72 : 200);
    TestTensor<bf16> w3({c.groups, c.n, c.k}), dup({c.rows, c.n});
    TestTensor<bf16> given({c.rows, c.n}), given_u({c.rows, c.n}), w2({c.groups, c.k, c.n});
    given.randomise(8);
    given_u.randomise(9);
    w2.randomise(10);
    w3.randomise(6);
    dup.randomise(7);
    CAPTURE(turn++);
    test::agrees_with_cpu(
        [&](auto device) {
          using D = decltype(device);
          auto& queue = test::queue<D>();
          const DeviceTensor<bf16, D> x(c.x, layout), w1(c.w, layout), dev_w3(w3, layout), gate(c.dy.shape(), layout),
              up(c.dy.shape(), layout), h(c.dy.shape(), layout), dy(c.dy, layout), dev_dup(dup, layout),
              dx(c.x.shape(), layout), given_gate(given, layout), given_up(given_u, layout),
              dgate(c.dy.shape(), layout), dupper(c.dy.shape(), layout), dev_dx(c.dx, layout);
          const DeviceTensor<std::int32_t, D> offsets(c.offsets);
          const bool fused = ops::grouped_gemm_swiglu<bf16, D>(queue, x, w1, dev_w3, offsets, gate, up, h);
          CHECK(fused == std::is_same_v<D, Cuda>);
          if constexpr (std::is_same_v<D, Cpu>) {
            ops::grouped_gemm<bf16, D>(queue, x, w1, offsets, gate);
            ops::grouped_gemm<bf16, D>(queue, x, dev_w3, offsets, up);
            ops::swiglu<bf16, D>(queue, gate, up, h);
          }
          ops::grouped_gemm_input_gradient_of_two<bf16, D>(queue, dy, w1, dev_dup, dev_w3, offsets, dx);
          const DeviceTensor<bf16, D> dev_w2(w2, layout);
          if (!ops::grouped_gemm_swiglu_backward<bf16, D>(queue, dev_dx, dev_w2, offsets, given_gate, given_up, dgate,
                                                          dupper)) {
            if constexpr (std::is_same_v<D, Cpu>) {
              ops::grouped_gemm_input_gradient<bf16, D>(queue, dev_dx, dev_w2, offsets, dgate, false);
              ops::swiglu_backward<bf16, D>(queue, dgate, given_gate, given_up, dgate, dupper);
            } else {
              FAIL("on a Hopper GPU one kernel does it");
            }
          }
          return Results{{gate.values(), up.values(), h.values(), dx.values(), dgate.values(), dupper.values()}};
        },
        32 * test::tolerance<bf16>, 0.5);
  }
}

TEST_CASE("grouped_gemm by the copy engine: what it can't address is refused, or left to the plain kernels",
          "[grouped_gemm]") {
  if (!has_the_instructions()) return;
  auto& queue = test::queue<Cuda>();
  const Case c({5, 7}, 0, 16, 20);
  const auto run = [&](index_t gap, ops::GroupedGemmKernel which) {
    const DeviceTensor<bf16, Cuda> x(c.x, {0, gap}), w(c.w, {0, gap}), y(c.dy.shape());
    const DeviceTensor<std::int32_t, Cuda> offsets(c.offsets);
    ops::grouped_gemm<bf16, Cuda>(queue, x, w, offsets, y, which);
    return y.values();
  };
  using enum ops::GroupedGemmKernel;
  CHECK_THROWS_WITH(run(0, tma), ContainsText("rows are 20, 20 and 16 elements apart"));
  const auto plain_values = run(0, automatic), tma_values = run(4, automatic);
  CHECK(run(4, tma) == tma_values);
  CHECK(run(0, plain) == plain_values);
  CHECK(test::max_error(tma_values, plain_values, 0.5) < 2 * test::tolerance<bf16>);
}

TEST_CASE("grouped_gemm by the copy engine: a row's result doesn't depend on the other groups", "[grouped_gemm]") {
  if (!has_the_instructions()) return;
  const Case c({4, 3, 170}, 0, 72, 136);
  const auto forward = [&](const std::vector<std::int32_t>& ends) {
    TestTensor<std::int32_t> offsets({4});
    for (index_t e = 0; e < 4; ++e) offsets.at(e) = ends[static_cast<std::size_t>(e)];
    const DeviceTensor<bf16, Cuda> x(c.x), w(c.w), y(c.dy.shape());
    const DeviceTensor<std::int32_t, Cuda> dev_offsets(offsets);
    ops::grouped_gemm<bf16, Cuda>(test::queue<Cuda>(), x, w, dev_offsets, y, ops::GroupedGemmKernel::tma);
    return y.values();
  };
  const auto a = forward({0, 4, 7, 177}), b = forward({0, 4, 90, 160});
  CHECK(std::equal(a.begin(), a.begin() + 7 * 72, b.begin()));
  CHECK_FALSE(std::equal(a.begin(), a.begin() + 8 * 72, b.begin()));
  CHECK(std::all_of(b.begin() + 160 * 72, b.end(), [](double v) { return v == 0; }));
}

TEST_CASE("the choice of a plan for grouped_gemm", "[grouped_gemm]") {
  using enum ops::GroupedGemmPreset;
  const auto preset = [](index_t groups, index_t rows_each, index_t cols, index_t depth) {
    return ops::grouped_gemm_preset({groups * rows_each, groups, cols, depth, 132});
  };
  CHECK(preset(128, 64, 1536, 2048) == turns);
  CHECK(preset(1, 1, 8, 8) == turns);
  CHECK(preset(64, 1024, 128, 2048) == narrow);
  CHECK(preset(256, 128, 4096, 7168) == stream);
  CHECK(preset(8, 4096, 4096, 7168) == wide);
  CHECK(preset(8, 4096, 7168, 2048) == turns);
  CHECK(preset(128, 512, 2048, 768) == turns);
  CHECK(preset(64, 1024, 2048, 1408) == turns);
}
