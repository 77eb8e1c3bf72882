// The launchers of the Hopper kernels: which calls they take, the tensor maps, the grid. Read next:
// ops/grouped_gemm/tma/presets.hpp.
#pragma once

#include <algorithm>
#include <cstdint>

#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/runtime.hpp"
#include "ashlar/ops/grouped_gemm/kernel_choice.hpp"
#include "ashlar/ops/grouped_gemm/tma/gated.cuh"
#include "ashlar/ops/grouped_gemm/tma/kernel.cuh"
#include "ashlar/ops/grouped_gemm/tma/presets.hpp"

namespace ashlar::inline v0::ops::cuda::grouped {

/// Whether the copy engine can address the view: rows of whole 16 bytes, and fewer than 2^30 of them.
template <class T>
bool mappable(const TensorView<T, Cuda>& x) {
  constexpr index_t unit = 16 / static_cast<index_t>(sizeof(T));
  return x.count() > 0 && reinterpret_cast<std::uintptr_t>(x.data()) % 16 == 0 && x.row_stride() % unit == 0 &&
         x.row_stride() >= x.cols() && x.row_stride() < index_t{1} << 33 && x.rows() < ragged_bound;
}

/// Whether the current GPU has the instructions. The emulator has.
inline bool has_hopper() {
#if ASHLAR_CUDA_EMULATED
  return true;
#else
  int gpu = 0, major = 0;
  cudaGetDevice(&gpu);
  cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, gpu);
  return major == 9;
#endif
}

/// Whether these kernels run a product of the two factors. Throws Error where they must and can't.
template <class A, class B, class C>
bool takes(GroupedGemmKernel which, const TensorView<const std::int32_t, Cuda>& offsets, const TensorView<A, Cuda>& a,
           const TensorView<B, Cuda>& b, const TensorView<C, Cuda>& result) {
  if (which == GroupedGemmKernel::plain) return false;
  const bool hopper = has_hopper();
  // Pairs of f32 are read along with a result that is added to, and at the offsets where there is none.
  const bool addressable = mappable(a) && mappable(b) && mappable(result) &&
                           reinterpret_cast<std::uintptr_t>(offsets.data()) % 8 == 0 &&
                           (std::is_same_v<C, bf16> || result.cols() % 2 == 0);
  if (which == GroupedGemmKernel::tma && !hopper)
    fail("GroupedGemm<Tma> needs a Hopper GPU (sm_90); write GroupedGemm<> to run on any");
  if (which == GroupedGemmKernel::tma && !addressable && a.count() > 0)
    fail(concat(
        "GroupedGemm<Tma>: the copy engine reads rows of whole 16 bytes at addresses of whole 16 bytes; here rows "
        "are ",
        a.row_stride(), ", ", b.row_stride(), " and ", result.row_stride(), " elements apart"));
  return hopper && addressable;
}

/// w [E, N, K], in boxes [box_rows, box_cols].
template <class T>
ptx::TensorMap weights_map(const TensorView<T, Cuda>& w, int box_rows) {
  const index_t s = w.row_stride();
  constexpr int box_cols = 128 / static_cast<int>(sizeof(T));
  return tensor_map(w.data(),
                    TensorMapShape<3>{{w.dim(2), w.dim(1), w.dim(0)}, {s, s * w.dim(1)}, {box_cols, box_rows, 1}});
}

inline int multiprocessors() {
#if ASHLAR_CUDA_EMULATED
  return 3;  // so that a block has several tiles
#else
  int gpu = 0, count = 0;
  cudaGetDevice(&gpu);
  cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, gpu);
  return count;
#endif
}

/// A launch for at most `tiles` tiles.
template <class Kernel>
void launch_tiles(Cuda::Queue& queue, index_t tiles, const typename Kernel::Params& given) {
  typename Kernel::Params params = given;
  params.problem.blocks = static_cast<int>(std::min<index_t>(tiles, multiprocessors()));
  if constexpr (Kernel::plan.order == TileOrder::drawn) {
    params.problem.counter = static_cast<int*>(queue.workspace());
    Cuda::fill_zero(queue, params.problem.counter, sizeof(int));
  }
  launch<Kernel>(queue, {params.problem.blocks}, params);
}

/// Tiles of rows that the groups, and what follows them, have at most.
template <GroupedGemmPlan Plan>
index_t most_tiles(index_t rows, index_t groups, index_t cols) {
  return (ceil_div(rows, index_t{Plan.rows}) + groups) * ceil_div(cols, index_t{Plan.cols});
}

/// y = x w^T
template <GroupedGemmPlan Plan>
void output(Cuda::Queue& queue, TensorView<const bf16, Cuda> x, TensorView<const bf16, Cuda> w,
            TensorView<const std::int32_t, Cuda> offsets, TensorView<bf16, Cuda> y) {
  using Kernel = GroupedProduct<Output, RowsResult, Plan>;
  const Problem problem{offsets.data(),
                        static_cast<int>(w.dim(0)),
                        static_cast<int>(x.rows()),
                        static_cast<int>(y.cols()),
                        static_cast<int>(x.cols()),
                        0,
                        false,
                        nullptr};
  launch_tiles<Kernel>(queue, most_tiles<Plan>(x.rows(), w.dim(0), y.cols()),
                       {problem, {ragged_map(x, Plan.rows), weights_map(w, Plan.cols)}, ragged_map(y, slice_rows)});
}

/// dx (+)= dy w
template <GroupedGemmPlan Plan>
void input_gradient(Cuda::Queue& queue, TensorView<const bf16, Cuda> dy, TensorView<const bf16, Cuda> w,
                    TensorView<const std::int32_t, Cuda> offsets, TensorView<bf16, Cuda> dx, bool accumulate) {
  using Kernel = GroupedProduct<InputGradient, RowsResult, Plan>;
  const Problem problem{offsets.data(),
                        static_cast<int>(w.dim(0)),
                        static_cast<int>(dx.rows()),
                        static_cast<int>(dx.cols()),
                        static_cast<int>(dy.cols()),
                        0,
                        accumulate,
                        nullptr};
  launch_tiles<Kernel>(queue, most_tiles<Plan>(dx.rows(), w.dim(0), dx.cols()),
                       {problem, {ragged_map(dy, Plan.rows), weights_map(w, Plan.depth)}, ragged_map(dx, slice_rows)});
}

/// dx = dy1 w1 + dy2 w2
template <GroupedGemmPlan Plan>
void input_gradient_of_two(Cuda::Queue& queue, TensorView<const bf16, Cuda> dy1, TensorView<const bf16, Cuda> w1,
                           TensorView<const bf16, Cuda> dy2, TensorView<const bf16, Cuda> w2,
                           TensorView<const std::int32_t, Cuda> offsets, TensorView<bf16, Cuda> dx) {
  using Kernel = GroupedProduct<InputGradientOfTwo, RowsResult, Plan>;
  const Problem problem{offsets.data(),
                        static_cast<int>(w1.dim(0)),
                        static_cast<int>(dx.rows()),
                        static_cast<int>(dx.cols()),
                        2 * static_cast<int>(round_up(dy1.cols(), Plan.depth)),
                        0,
                        false,
                        nullptr};
  launch_tiles<Kernel>(queue, most_tiles<Plan>(dx.rows(), w1.dim(0), dx.cols()),
                       {problem,
                        {{{ragged_map(dy1, Plan.rows), weights_map(w1, Plan.depth)},
                          {ragged_map(dy2, Plan.rows), weights_map(w2, Plan.depth)}}},
                        ragged_map(dx, slice_rows)});
}

/// dw (+)= dy^T x, a group at a time
template <GroupedGemmPlan Plan>
void weight_gradient(Cuda::Queue& queue, TensorView<const bf16, Cuda> dy, TensorView<const bf16, Cuda> x,
                     TensorView<const std::int32_t, Cuda> offsets, TensorView<float, Cuda> dw, bool accumulate) {
  const Problem problem{offsets.data(),
                        static_cast<int>(dw.dim(0)),
                        static_cast<int>(dw.dim(1)),
                        static_cast<int>(dw.dim(2)),
                        0,
                        0,
                        accumulate,
                        nullptr};
  const auto launch_with = [&]<template <GroupedGemmPlan> class Result>() {
    using Kernel = GroupedProduct<WeightGradient, Result, Plan>;
    launch_tiles<Kernel>(
        queue, dw.dim(0) * ceil_div(dw.dim(1), index_t{Plan.rows}) * ceil_div(dw.dim(2), index_t{Plan.cols}),
        {problem, {ragged_map(dy, Plan.depth), ragged_map(x, Plan.depth)}, {weights_map(dw, slice_rows), rows_of(dw)}});
  };
  // The copy engine adds at 1.1 TB/s on an H200, a quarter of what the memory takes: enough for many rows a group.
  if (accumulate && x.rows() < 768 * dw.dim(0))
    launch_with.template operator()<WeightsBegun>();
  else
    launch_with.template operator()<WeightsStored>();
}

/// gate = x w1^T, up = x w3^T, h = silu(gate) up
template <GroupedGemmPlan Plan>
void gated_output(Cuda::Queue& queue, TensorView<const bf16, Cuda> x, TensorView<const bf16, Cuda> w1,
                  TensorView<const bf16, Cuda> w3, TensorView<const std::int32_t, Cuda> offsets,
                  TensorView<bf16, Cuda> gate, TensorView<bf16, Cuda> up, TensorView<bf16, Cuda> h) {
  using Kernel = GroupedProduct<GatedOutput, GatedResult, Plan>;
  const Problem problem{offsets.data(),
                        static_cast<int>(w1.dim(0)),
                        static_cast<int>(x.rows()),
                        2 * static_cast<int>(h.cols()),
                        static_cast<int>(x.cols()),
                        0,
                        false,
                        nullptr};
  launch_tiles<Kernel>(queue, most_tiles<Plan>(x.rows(), w1.dim(0), 2 * h.cols()),
                       {problem,
                        {ragged_map(x, Plan.rows), weights_map(w1, Plan.cols / 2), weights_map(w3, Plan.cols / 2)},
                        {ragged_map(gate, slice_rows), ragged_map(up, slice_rows), ragged_map(h, slice_rows)}});
}

/// dgate and dup, of dh = dy w2
template <GroupedGemmPlan Plan>
void gated_input_gradient(Cuda::Queue& queue, TensorView<const bf16, Cuda> dy, TensorView<const bf16, Cuda> w2,
                          TensorView<const std::int32_t, Cuda> offsets, TensorView<const bf16, Cuda> gate,
                          TensorView<const bf16, Cuda> up, TensorView<bf16, Cuda> dgate, TensorView<bf16, Cuda> dup) {
  using Kernel = GroupedProduct<InputGradient, GatedGradient, Plan>;
  const Problem problem{offsets.data(),
                        static_cast<int>(w2.dim(0)),
                        static_cast<int>(dy.rows()),
                        static_cast<int>(dgate.cols()),
                        static_cast<int>(dy.cols()),
                        0,
                        false,
                        nullptr};
  launch_tiles<Kernel>(queue, most_tiles<Plan>(dy.rows(), w2.dim(0), dgate.cols()),
                       {problem,
                        {ragged_map(dy, Plan.rows), weights_map(w2, Plan.depth)},
                        {rows_of(gate), rows_of(up), ragged_map(dgate, slice_rows), ragged_map(dup, slice_rows)}});
}

/// run.operator()<Plan>() with the plan for rows of groups.
template <class Run>
void with_plan(index_t rows, index_t groups, index_t cols, index_t depth, Run run) {
  switch (grouped_gemm_preset({rows, groups, cols, depth, multiprocessors()})) {
    case GroupedGemmPreset::wide: return run.template operator()<grouped_gemm_wide>();
    case GroupedGemmPreset::turns: return run.template operator()<grouped_gemm_turns>();
    case GroupedGemmPreset::narrow: return run.template operator()<grouped_gemm_narrow>();
    case GroupedGemmPreset::stream: return run.template operator()<grouped_gemm_stream>();
  }
}

}  // namespace ashlar::inline v0::ops::cuda::grouped
