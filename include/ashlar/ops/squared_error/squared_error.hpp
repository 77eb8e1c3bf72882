// The mean squared error of rows, with its gradient. Read next: ops/squared_error/cpu.hpp.
#pragma once

#include <type_traits>

#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/device/cuda/cuda.hpp"
#include "ashlar/device/meta.hpp"
#include "ashlar/ops/squared_error/cpu.hpp"

namespace ashlar::inline v0::ops {

namespace cuda {
template <class T>
void squared_error(Cuda::Queue&, TensorView<const T, Cuda> x, TensorView<const float, Cuda> target, double scale,
                   TensorView<T, Cuda> dx, TensorView<Acc<T>, Cuda> loss);
}  // namespace cuda

/// loss [N] = the mean over a row of (x - target)^2; dx [N, F] = scale times its gradient, or empty: not wanted. In
/// Acc<T>. dx may be x.
template <class T, class D>
void squared_error(typename D::Queue& queue, In<T, D> x, In<float, D> target, double scale, TensorView<T, D> dx,
                   std::type_identity_t<TensorView<Acc<T>, D>> loss) {
  check(target.shape() == x.shape() && (!dx || dx.shape() == x.shape()) && loss.count() == x.rows(),
        "squared_error: target and dx are like x [N, F], loss is [N]");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count((dx ? 5.0 : 3.0) * x.count(), x, target, dx, loss);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::squared_error<T>(x, target, scale, dx, loss);
  else
    cuda::squared_error<T>(queue, x, target, scale, dx, loss);
}

}  // namespace ashlar::inline v0::ops
