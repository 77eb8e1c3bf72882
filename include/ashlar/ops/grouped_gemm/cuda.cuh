// Grouped GEMM on Cuda: the launchers. bf16 on a Hopper GPU takes the kernels of tma/, if the copy engine can address
// the views; everything else the plain ones. Read next: ops/grouped_gemm/tma/kernel.cuh, ops/grouped_gemm/plain.cuh.
#pragma once

#include "ashlar/ops/grouped_gemm/kernel_choice.hpp"
#include "ashlar/ops/grouped_gemm/plain.cuh"
#include "ashlar/ops/grouped_gemm/tma/launch.cuh"

namespace ashlar::inline v0::ops::cuda {

/// Of element types that the copy engine's kernels don't multiply.
template <class T>
void check_kernel(GroupedGemmKernel which) {
  if (which == GroupedGemmKernel::tma && !std::is_same_v<T, bf16>)
    fail("GroupedGemm<Tma> multiplies bf16 alone; write GroupedGemm<> for every compute type");
}

template <class T>
void grouped_gemm(Cuda::Queue& queue, TensorView<const T, Cuda> x, TensorView<const T, Cuda> w,
                  TensorView<const std::int32_t, Cuda> offsets, TensorView<T, Cuda> y, GroupedGemmKernel which) {
  check_kernel<T>(which);
  if constexpr (std::is_same_v<T, bf16>)
    if (grouped::takes(which, offsets, x, w, y))
      return grouped::with_plan(y.rows(), w.dim(0), y.cols(), x.cols(),
                                [&]<GroupedGemmPlan Plan>() { grouped::output<Plan>(queue, x, w, offsets, y); });
  kernel::grouped_product<Summed::along_rows>(queue, x, w, offsets, y, false);
}

template <class T>
void grouped_gemm_input_gradient(Cuda::Queue& queue, TensorView<const T, Cuda> dy, TensorView<const T, Cuda> w,
                                 TensorView<const std::int32_t, Cuda> offsets, TensorView<T, Cuda> dx, bool accumulate,
                                 GroupedGemmKernel which) {
  check_kernel<T>(which);
  if constexpr (std::is_same_v<T, bf16>)
    if (grouped::takes(which, offsets, dy, w, dx))
      return grouped::with_plan(dx.rows(), w.dim(0), dx.cols(), dy.cols(), [&]<GroupedGemmPlan Plan>() {
        grouped::input_gradient<Plan>(queue, dy, w, offsets, dx, accumulate);
      });
  kernel::grouped_product<Summed::over_rows>(queue, dy, w, offsets, dx, accumulate);
}

template <class T>
void grouped_gemm_input_gradient_of_two(Cuda::Queue& queue, TensorView<const T, Cuda> dy1, TensorView<const T, Cuda> w1,
                                        TensorView<const T, Cuda> dy2, TensorView<const T, Cuda> w2,
                                        TensorView<const std::int32_t, Cuda> offsets, TensorView<T, Cuda> dx,
                                        GroupedGemmKernel which) {
  check_kernel<T>(which);
  if constexpr (std::is_same_v<T, bf16>)
    if (grouped::takes(which, offsets, dy1, w1, dx) && grouped::takes(which, offsets, dy2, w2, dx))
      return grouped::input_gradient_of_two<grouped_gemm_turns>(queue, dy1, w1, dy2, w2, offsets, dx);
  kernel::grouped_product<Summed::over_rows>(queue, dy1, w1, offsets, dx, false);
  kernel::grouped_product<Summed::over_rows>(queue, dy2, w2, offsets, dx, true);
}

template <class T>
bool grouped_gemm_swiglu(Cuda::Queue& queue, TensorView<const T, Cuda> x, TensorView<const T, Cuda> w1,
                         TensorView<const T, Cuda> w3, TensorView<const std::int32_t, Cuda> offsets,
                         TensorView<T, Cuda> gate, TensorView<T, Cuda> up, TensorView<T, Cuda> h,
                         GroupedGemmKernel which) {
  check_kernel<T>(which);
  if constexpr (std::is_same_v<T, bf16>)
    if (grouped::takes(which, offsets, x, w1, gate) && grouped::takes(which, offsets, x, w3, up) &&
        grouped::takes(which, offsets, x, w1, h)) {
      grouped::gated_output<grouped_gemm_narrow>(queue, x, w1, w3, offsets, gate, up, h);
      return true;
    }
  return false;
}

template <class T>
bool grouped_gemm_swiglu_backward(Cuda::Queue& queue, TensorView<const T, Cuda> dy, TensorView<const T, Cuda> w2,
                                  TensorView<const std::int32_t, Cuda> offsets, TensorView<const T, Cuda> gate,
                                  TensorView<const T, Cuda> up, TensorView<T, Cuda> dgate, TensorView<T, Cuda> dup,
                                  GroupedGemmKernel which) {
  check_kernel<T>(which);
  if constexpr (std::is_same_v<T, bf16>)
    // Pairs of gate and up are read as one, so their columns are even.
    if (gate.cols() % 2 == 0 && grouped::takes(which, offsets, dy, w2, dgate) &&
        grouped::takes(which, offsets, gate, up, dup)) {
      grouped::gated_input_gradient<grouped_gemm_narrow>(queue, dy, w2, offsets, gate, up, dgate, dup);
      return true;
    }
  return false;
}

template <class T>
void grouped_gemm_weight_gradient(Cuda::Queue& queue, TensorView<const T, Cuda> dy, TensorView<const T, Cuda> x,
                                  TensorView<const std::int32_t, Cuda> offsets, TensorView<Acc<T>, Cuda> dw,
                                  bool accumulate, GroupedGemmKernel which) {
  check_kernel<T>(which);
  if constexpr (std::is_same_v<T, bf16>)
    // A tile of f32 takes long to store, after few rows: always in turns. With very few, storing is all there is.
    if (grouped::takes(which, offsets, dy, x, dw))
      return x.rows() <= 128 * dw.dim(0)
                 ? grouped::weight_gradient<grouped_gemm_stream_weights>(queue, dy, x, offsets, dw, accumulate)
                 : grouped::weight_gradient<grouped_gemm_turns>(queue, dy, x, offsets, dw, accumulate);
  kernel::weight_gradient<T>(queue, dy, x, offsets, dw, accumulate);
}

}  // namespace ashlar::inline v0::ops::cuda
