// The global gradient norm and the scale that clips it, without a wait for the host.
// Used by optim/clip_grad_norm.hpp. Read next: ops/gradient_norm/cpu.hpp.
#pragma once

#include <type_traits>

#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/device/cuda/cuda.hpp"
#include "ashlar/device/meta.hpp"
#include "ashlar/ops/gradient_norm/cpu.hpp"

namespace ashlar::inline v0::ops {

namespace cuda {
template <class A>
void sum_of_squares(Cuda::Queue&, TensorView<const A, Cuda> x, TensorView<double, Cuda> sum);
template <class A>
void clip_scale(Cuda::Queue&, TensorView<const double, Cuda> sum_of_squares, double max_norm,
                TensorView<A, Cuda> norm_and_scale);
}  // namespace cuda

/// sum[0] += sum of x^2 over x [n], kept in double, in an order that depends on n alone.
template <class A, class D>
void sum_of_squares(typename D::Queue& queue, TensorView<const A, D> x, TensorView<double, D> sum) {
  if constexpr (std::is_same_v<D, Meta>) {
    queue.count(Cost{static_cast<double>(2 * x.count()), static_cast<double>(x.count() * index_t{sizeof(A)})});
  } else if constexpr (std::is_same_v<D, Cpu>) {
    cpu::sum_of_squares<A>(x, sum);
  } else {
    cuda::sum_of_squares<A>(queue, x, sum);
  }
}

/// norm_and_scale[0] = norm = sqrt(sum_of_squares[0]); norm_and_scale[1] = min(1, max_norm / (norm + 1e-6)), and NaN
/// when the norm is not finite (the optimizer then skips the step). max_norm <= 0 means no clipping: scale 1.
template <class A, class D>
void clip_scale(typename D::Queue& queue, In<double, D> sum_of_squares, double max_norm,
                TensorView<A, D> norm_and_scale) {
  check(norm_and_scale.count() == 2 && sum_of_squares.count() == 1, "clip_scale: one sum, two results");
  if constexpr (std::is_same_v<D, Meta>) {
    queue.count(Cost{static_cast<double>(4), static_cast<double>(24)});
  } else if constexpr (std::is_same_v<D, Cpu>) {
    cpu::clip_scale<A>(sum_of_squares, max_norm, norm_and_scale);
  } else {
    cuda::clip_scale<A>(queue, sum_of_squares, max_norm, norm_and_scale);
  }
}

}  // namespace ashlar::inline v0::ops
