// RMSNorm, with the residual addition before it fused in (Zhang and Sennrich 2019, arXiv:1910.07467). Read next:
// ops/rms_norm/cpu.hpp, ops/rms_norm/cuda.cuh.
#pragma once

#include <type_traits>

#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/device/cuda/cuda.hpp"
#include "ashlar/device/meta.hpp"
#include "ashlar/ops/rms_norm/cpu.hpp"
#include "ashlar/ops/rms_norm/tuning.hpp"

namespace ashlar::inline v0::ops {

namespace cuda {
template <class T>
void rms_norm(Cuda::Queue&, TensorView<const T, Cuda> x, TensorView<const T, Cuda> residual,
              TensorView<const T, Cuda> weight, double eps, TensorView<T, Cuda> h, TensorView<T, Cuda> y,
              TensorView<Acc<T>, Cuda> rstd);
template <class T>
void rms_norm_backward(Cuda::Queue&, TensorView<const T, Cuda> dy, TensorView<const T, Cuda> h,
                       TensorView<const T, Cuda> weight, TensorView<const Acc<T>, Cuda> rstd, TensorView<T, Cuda> dx,
                       bool accumulate, TensorView<Acc<T>, Cuda> dweight, TensorView<Acc<T>, Cuda> workspace);
}  // namespace cuda

/// y [N, D] = (h rstd) weight, with h = x + residual rounded to T, rstd [N] = (mean(h^2) + eps)^(-1/2) of the rounded
/// h. Arithmetic and rstd in Acc<T>, one rounding at the end. `residual` may be empty: then h = x and `h` is not
/// written (it may be empty). h may alias x or residual; y may not alias h.
template <class T, class D>
void rms_norm(typename D::Queue& queue, In<T, D> x, In<T, D> residual, In<T, D> weight, double eps,
              std::type_identity_t<TensorView<T, D>> h, TensorView<T, D> y,
              std::type_identity_t<TensorView<Acc<T>, D>> rstd) {
  check(x.rows() == y.rows() && x.cols() == y.cols() && weight.count() == x.cols() && rstd.count() == x.rows(),
        "rms_norm: x and y must be [N, D], weight [D], rstd [N]");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(4.0 * x.count(), x, residual, weight, residual ? h : TensorView<T, D>(), y, rstd);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::rms_norm<T>(x, residual, weight, eps, h, y, rstd);
  else
    cuda::rms_norm<T>(queue, x, residual, weight, eps, h, y, rstd);
}

/// How many elements `workspace` of rms_norm_backward needs on D, for rows of D columns: a partial weight gradient for
/// each block of rows. Zero where the device needs none.
template <class D>
index_t rms_norm_backward_workspace(index_t rows, index_t cols) {
  if (std::is_same_v<D, Cpu>) return 0;
  rows = rows < 1 ? 1 : rows;
  return ceil_div(rows, rms_norm_tuning.block_rows(rows, cols)) * cols;
}

/// With g = dy weight and xh = h rstd: dx = rstd (g - xh mean(g xh)) (added to dx when `accumulate`);
/// dweight [D] += sum over rows of dy xh, in a fixed order; empty for a frozen weight. dx may alias dy when not
/// accumulating.
template <class T, class D>
void rms_norm_backward(typename D::Queue& queue, In<T, D> dy, In<T, D> h, In<T, D> weight, In<Acc<T>, D> rstd,
                       TensorView<T, D> dx, bool accumulate, std::type_identity_t<TensorView<Acc<T>, D>> dweight,
                       std::type_identity_t<TensorView<Acc<T>, D>> workspace) {
  check(dy.count() == h.count() && dx.count() == h.count() && (!dweight || dweight.count() == h.cols()),
        "rms_norm_backward: dy, h and dx must be [N, D], dweight [D]");
  check(std::is_same_v<D, Cpu> || !dweight || workspace.count() >= rms_norm_backward_workspace<D>(h.rows(), h.cols()),
        "rms_norm_backward: the workspace must have rms_norm_backward_workspace(N, D) elements");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(9.0 * h.count(), dy, h, weight, rstd, dx, accumulate ? dx : TensorView<T, D>(), dweight, dweight);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::rms_norm_backward<T>(dy, h, weight, rstd, dx, accumulate, dweight);
  else
    cuda::rms_norm_backward<T>(queue, dy, h, weight, rstd, dx, accumulate, dweight, workspace);
}

}  // namespace ashlar::inline v0::ops
