// The global gradient norm and the scale that clips it, without a wait for the host. Read next:
// ops/gradient_norm/cpu.hpp.
#pragma once

#include <type_traits>

#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/device/cuda/cuda.hpp"
#include "ashlar/device/cuda/grid_sum_tuning.hpp"
#include "ashlar/device/meta.hpp"
#include "ashlar/ops/gradient_norm/cpu.hpp"

namespace ashlar::inline v0::ops {

namespace cuda {
template <class A>
void sum_of_squares(Cuda::Queue&, TensorView<const A, Cuda> x, TensorView<double, Cuda> sum,
                    TensorView<double, Cuda> workspace);
template <class A>
void clip_scale(Cuda::Queue&, TensorView<const double, Cuda> sum_of_squares, double max_norm,
                TensorView<A, Cuda> norm_and_scale);
}  // namespace cuda

/// How many elements `workspace` of sum_of_squares needs on D for n elements: one for each block of the sum. Zero where
/// the device needs none.
template <class D>
index_t sum_of_squares_workspace(index_t n) {
  return std::is_same_v<D, Cuda> ? grid_sum_blocks(n) : 0;
}

/// sum[0] += sum of x^2 over the contiguous x [n], kept in double, in an order that depends on n alone.
template <class A, class D>
void sum_of_squares(typename D::Queue& queue, TensorView<const A, D> x, TensorView<double, D> sum,
                    std::type_identity_t<TensorView<double, D>> workspace) {
  check(
      x.contiguous() && sum.count() == 1 &&
          (sum_of_squares_workspace<D>(x.count()) == 0 || workspace.count() >= sum_of_squares_workspace<D>(x.count())),
      "sum_of_squares: contiguous x, one sum, and a workspace of sum_of_squares_workspace(n) elements");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(2.0 * x.count(), x);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::sum_of_squares<A>(x, sum);
  else
    cuda::sum_of_squares<A>(queue, x, sum, workspace);
}

/// norm_and_scale[0] = norm = sqrt(sum_of_squares[0]); norm_and_scale[1] = min(1, max_norm / (norm + 1e-6)), and NaN
/// when the norm is not finite (the optimizer then skips the step); norm_and_scale[2] += 1 then. max_norm <= 0 means no
/// clipping: scale 1.
template <class A, class D>
void clip_scale(typename D::Queue& queue, In<double, D> sum_of_squares, double max_norm,
                TensorView<A, D> norm_and_scale) {
  check(norm_and_scale.count() == 3 && sum_of_squares.count() == 1, "clip_scale: one sum, three results");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(4, sum_of_squares, norm_and_scale);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::clip_scale<A>(sum_of_squares, max_norm, norm_and_scale);
  else
    cuda::clip_scale<A>(queue, sum_of_squares, max_norm, norm_and_scale);
}

}  // namespace ashlar::inline v0::ops
