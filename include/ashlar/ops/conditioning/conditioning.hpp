// What makes a condition: features of a timestep, and the activation silu. A few rows, one a sequence. Read next:
// ops/conditioning/cpu.hpp.
#pragma once

#include <type_traits>

#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/device/cuda/cuda.hpp"
#include "ashlar/device/meta.hpp"
#include "ashlar/ops/conditioning/cpu.hpp"

namespace ashlar::inline v0::ops {

namespace cuda {
template <class T>
void timestep_features(Cuda::Queue&, TensorView<const float, Cuda> t, TensorView<T, Cuda> out);
template <class T>
void silu(Cuda::Queue&, TensorView<const T, Cuda> x, TensorView<T, Cuda> y);
template <class T>
void silu_backward(Cuda::Queue&, TensorView<const T, Cuda> dy, TensorView<const T, Cuda> x, TensorView<T, Cuda> dx);
}  // namespace cuda

/// out [B, F] = cosines, then sines, of the timesteps t [B] in [0, 1] at F / 2 frequencies
/// (ops/conditioning/timestep.hpp; Vaswani et al. 2017, arXiv:1706.03762, section 3.5).
template <class T, class D>
void timestep_features(typename D::Queue& queue, In<float, D> t, TensorView<T, D> out) {
  check(out.rows() == t.count() && out.cols() % 2 == 0 && out.contiguous(),
        "timestep_features: t is [B], out [B, F], F even");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(4.0 * out.count(), t, out);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::timestep_features<T>(t, out);
  else
    cuda::timestep_features<T>(queue, t, out);
}

/// y = x sigmoid(x) over contiguous tensors of one count, in Acc<T>. y may be x.
template <class T, class D>
void silu(typename D::Queue& queue, In<T, D> x, TensorView<T, D> y) {
  check(x.count() == y.count() && x.contiguous() && y.contiguous(), "silu: x and y must be contiguous, of one count");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(4.0 * x.count(), x, y);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::silu<T>(x, y);
  else
    cuda::silu<T>(queue, x, y);
}

/// dx += dy s (1 + x (1 - s)), s = sigmoid(x).
template <class T, class D>
void silu_backward(typename D::Queue& queue, In<T, D> dy, In<T, D> x, TensorView<T, D> dx) {
  check(x.count() == dy.count() && x.count() == dx.count() && x.contiguous() && dy.contiguous() && dx.contiguous(),
        "silu_backward: dy, x and dx must be contiguous, of one count");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(9.0 * x.count(), dy, x, dx, dx);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::silu_backward<T>(dy, x, dx);
  else
    cuda::silu_backward<T>(queue, dy, x, dx);
}

}  // namespace ashlar::inline v0::ops
