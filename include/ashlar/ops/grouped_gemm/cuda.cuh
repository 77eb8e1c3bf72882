// Grouped GEMM on Cuda: the launchers. bf16 on a Hopper GPU takes the kernels of tma/, if the copy engine can address
// the views; everything else the plain ones. Read next: ops/grouped_gemm/tma/kernel.cuh, ops/grouped_gemm/plain.cuh.
#pragma once

#include "ashlar/ops/grouped_gemm/kernel_choice.hpp"
#include "ashlar/ops/grouped_gemm/plain.cuh"
#include "ashlar/ops/grouped_gemm/tma/launch.cuh"

namespace ashlar::inline v0::ops::cuda {

template <class T>
void grouped_gemm(Cuda::Queue& queue, TensorView<const T, Cuda> x, TensorView<const T, Cuda> w,
                  TensorView<const std::int32_t, Cuda> offsets, TensorView<T, Cuda> y, GroupedGemmKernel which) {
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
  if constexpr (std::is_same_v<T, bf16>)
    if (grouped::takes(which, offsets, dy, w, dx))
      return grouped::with_plan(dx.rows(), w.dim(0), dx.cols(), dy.cols(), [&]<GroupedGemmPlan Plan>() {
        grouped::input_gradient<Plan>(queue, dy, w, offsets, dx, accumulate);
      });
  kernel::grouped_product<Summed::over_rows>(queue, dy, w, offsets, dx, accumulate);
}

template <class T>
void grouped_gemm_weight_gradient(Cuda::Queue& queue, TensorView<const T, Cuda> dy, TensorView<const T, Cuda> x,
                                  TensorView<const std::int32_t, Cuda> offsets, TensorView<Acc<T>, Cuda> dw,
                                  bool accumulate, GroupedGemmKernel which) {
  if constexpr (std::is_same_v<T, bf16>)
    // A tile of f32 takes long to store, after few rows: always in turns.
    if (grouped::takes(which, offsets, dy, x, dw))
      return grouped::weight_gradient<grouped_gemm_turns>(queue, dy, x, offsets, dw, accumulate);
  kernel::weight_gradient<T>(queue, dy, x, offsets, dw, accumulate);
}

}  // namespace ashlar::inline v0::ops::cuda
