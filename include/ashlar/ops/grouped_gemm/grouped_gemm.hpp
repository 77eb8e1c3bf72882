// Grouped GEMM: one product an expert, over consecutive groups of rows. The group sizes stay on the device: offsets [E
// + 1] are read by the kernels. Read next: ops/grouped_gemm/cpu.hpp, ops/grouped_gemm/cuda.cuh.
#pragma once

#include <type_traits>

#include <cstdint>
#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/device/cuda/cuda.hpp"
#include "ashlar/device/meta.hpp"
#include "ashlar/ops/grouped_gemm/cpu.hpp"
#include "ashlar/ops/grouped_gemm/kernel_choice.hpp"

namespace ashlar::inline v0::ops {

namespace cuda {
template <class T>
void grouped_gemm(Cuda::Queue&, TensorView<const T, Cuda> x, TensorView<const T, Cuda> w,
                  TensorView<const std::int32_t, Cuda> offsets, TensorView<T, Cuda> y, GroupedGemmKernel which);
template <class T>
void grouped_gemm_input_gradient(Cuda::Queue&, TensorView<const T, Cuda> dy, TensorView<const T, Cuda> w,
                                 TensorView<const std::int32_t, Cuda> offsets, TensorView<T, Cuda> dx, bool accumulate,
                                 GroupedGemmKernel which);
template <class T>
void grouped_gemm_weight_gradient(Cuda::Queue&, TensorView<const T, Cuda> dy, TensorView<const T, Cuda> x,
                                  TensorView<const std::int32_t, Cuda> offsets, TensorView<Acc<T>, Cuda> dw,
                                  bool accumulate, GroupedGemmKernel which);
template <class T>
void grouped_gemm_input_gradient_of_two(Cuda::Queue&, TensorView<const T, Cuda> dy1, TensorView<const T, Cuda> w1,
                                        TensorView<const T, Cuda> dy2, TensorView<const T, Cuda> w2,
                                        TensorView<const std::int32_t, Cuda> offsets, TensorView<T, Cuda> dx,
                                        GroupedGemmKernel which);
template <class T>
bool grouped_gemm_swiglu(Cuda::Queue&, TensorView<const T, Cuda> x, TensorView<const T, Cuda> w1,
                         TensorView<const T, Cuda> w3, TensorView<const std::int32_t, Cuda> offsets,
                         TensorView<T, Cuda> gate, TensorView<T, Cuda> up, TensorView<T, Cuda> h,
                         GroupedGemmKernel which);
template <class T>
bool grouped_gemm_swiglu_backward(Cuda::Queue&, TensorView<const T, Cuda> dy, TensorView<const T, Cuda> w2,
                                  TensorView<const std::int32_t, Cuda> offsets, TensorView<const T, Cuda> gate,
                                  TensorView<const T, Cuda> up, TensorView<T, Cuda> dgate, TensorView<T, Cuda> dup,
                                  GroupedGemmKernel which);
}  // namespace cuda

/// y [R, N] : rows offsets[e] .. offsets[e + 1] are x [R, K] of those rows times w[e]^T, w [E, N, K]. Groups may be
/// empty; rows past offsets[E] are set to zero.
template <class T, class D>
void grouped_gemm(typename D::Queue& queue, In<T, D> x, In<T, D> w, In<std::int32_t, D> offsets, TensorView<T, D> y,
                  GroupedGemmKernel which = GroupedGemmKernel::automatic) {
  check(w.rank() == 3 && w.dim(1) == y.cols() && w.dim(2) == x.cols() && x.rows() == y.rows() &&
            offsets.count() == w.dim(0) + 1,
        "grouped_gemm: x [R, K], w [E, N, K], offsets [E + 1], y [R, N]");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(2.0 * x.count() * y.cols(), x, w, offsets, y);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::grouped_gemm<T>(x, w, offsets, y);
  else
    cuda::grouped_gemm<T>(queue, x, w, offsets, y, which);
}

/// dx [R, K] (+)= dy [R, N] times w[e] of the row's group; rows past offsets[E] are set to zero (left alone when
/// accumulating).
template <class T, class D>
void grouped_gemm_input_gradient(typename D::Queue& queue, In<T, D> dy, In<T, D> w, In<std::int32_t, D> offsets,
                                 TensorView<T, D> dx, bool accumulate,
                                 GroupedGemmKernel which = GroupedGemmKernel::automatic) {
  check(w.rank() == 3 && w.dim(1) == dy.cols() && w.dim(2) == dx.cols() && dx.rows() == dy.rows(),
        "grouped_gemm_input_gradient: dy [R, N], w [E, N, K], dx [R, K]");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(2.0 * dx.count() * dy.cols(), dy, w, offsets, dx, accumulate ? dx : TensorView<T, D>());
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::grouped_gemm_input_gradient<T>(dy, w, offsets, dx, accumulate);
  else
    cuda::grouped_gemm_input_gradient<T>(queue, dy, w, offsets, dx, accumulate, which);
}

/// dx [R, K] = dy1 w1[e] + dy2 w2[e], rounded once where one kernel does both; rows past offsets[E] are set to zero.
template <class T, class D>
void grouped_gemm_input_gradient_of_two(typename D::Queue& queue, In<T, D> dy1, In<T, D> w1, In<T, D> dy2, In<T, D> w2,
                                        In<std::int32_t, D> offsets, TensorView<T, D> dx,
                                        GroupedGemmKernel which = GroupedGemmKernel::automatic) {
  check(w1.shape() == w2.shape() && dy1.shape() == dy2.shape() && w1.rank() == 3 && w1.dim(1) == dy1.cols() &&
            w1.dim(2) == dx.cols() && dx.rows() == dy1.rows(),
        "grouped_gemm_input_gradient_of_two: dy1, dy2 [R, N], w1, w2 [E, N, K], dx [R, K]");
  if constexpr (std::is_same_v<D, Cuda>) {
    cuda::grouped_gemm_input_gradient_of_two<T>(queue, dy1, w1, dy2, w2, offsets, dx, which);
  } else {
    grouped_gemm_input_gradient<T, D>(queue, dy1, w1, offsets, dx, false);
    grouped_gemm_input_gradient<T, D>(queue, dy2, w2, offsets, dx, true);
  }
}

/// gate = x w1^T, up = x w3^T and h = silu(gate) up, all [R, F], w1, w3 [E, F, K], where one kernel does all three (h
/// of the rounded gate and up). Returns false elsewhere, having done nothing: then grouped_gemm does it twice, and
/// swiglu.
template <class T, class D>
[[nodiscard]] bool grouped_gemm_swiglu(typename D::Queue& queue, In<T, D> x, In<T, D> w1, In<T, D> w3,
                                       In<std::int32_t, D> offsets, TensorView<T, D> gate, TensorView<T, D> up,
                                       TensorView<T, D> h, GroupedGemmKernel which = GroupedGemmKernel::automatic) {
  check(w1.rank() == 3 && w1.shape() == w3.shape() && w1.dim(1) == h.cols() && w1.dim(2) == x.cols() &&
            x.rows() == h.rows() && gate.shape() == h.shape() && up.shape() == h.shape(),
        "grouped_gemm_swiglu: x [R, K], w1, w3 [E, F, K], gate, up, h [R, F]");
  if constexpr (std::is_same_v<D, Cuda>)
    return cuda::grouped_gemm_swiglu<T>(queue, x, w1, w3, offsets, gate, up, h, which);
  else
    return false;
}

/// dgate and dup [R, F] of h = silu(gate) up, whose gradient is dy w2, dy [R, N], w2 [E, N, F], where one kernel does
/// it all (of dh rounded); rows past offsets[E] are set to zero. No result may be an argument. Returns false elsewhere,
/// having done nothing: then grouped_gemm_input_gradient does it, and swiglu_backward.
template <class T, class D>
[[nodiscard]] bool grouped_gemm_swiglu_backward(typename D::Queue& queue, In<T, D> dy, In<T, D> w2,
                                                In<std::int32_t, D> offsets, In<T, D> gate, In<T, D> up,
                                                TensorView<T, D> dgate, TensorView<T, D> dup,
                                                GroupedGemmKernel which = GroupedGemmKernel::automatic) {
  check(w2.rank() == 3 && w2.dim(1) == dy.cols() && w2.dim(2) == dgate.cols() && dy.rows() == dgate.rows() &&
            gate.shape() == dgate.shape() && up.shape() == dgate.shape() && dup.shape() == dgate.shape(),
        "grouped_gemm_swiglu_backward: dy [R, N], w2 [E, N, F], gate, up, dgate, dup [R, F]");
  if constexpr (std::is_same_v<D, Cuda>)
    return cuda::grouped_gemm_swiglu_backward<T>(queue, dy, w2, offsets, gate, up, dgate, dup, which);
  else
    return false;
}

/// dw[e] [N, K] (+)= dy^T x over the group's rows. An empty group leaves dw[e] as it was, or, not accumulating, zero.
template <class T, class D>
void grouped_gemm_weight_gradient(typename D::Queue& queue, In<T, D> dy, In<T, D> x, In<std::int32_t, D> offsets,
                                  TensorView<Acc<T>, D> dw, bool accumulate = true,
                                  GroupedGemmKernel which = GroupedGemmKernel::automatic) {
  check(dw.rank() == 3 && dw.dim(1) == dy.cols() && dw.dim(2) == x.cols() && x.rows() == dy.rows(),
        "grouped_gemm_weight_gradient: dy [R, N], x [R, K], dw [E, N, K]");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(2.0 * x.count() * dy.cols(), dy, x, offsets, dw, accumulate ? dw : TensorView<Acc<T>, D>());
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::grouped_gemm_weight_gradient<T>(dy, x, offsets, dw, accumulate);
  else
    cuda::grouped_gemm_weight_gradient<T>(queue, dy, x, offsets, dw, accumulate, which);
}

}  // namespace ashlar::inline v0::ops
