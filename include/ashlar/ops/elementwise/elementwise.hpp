// Passes over tensors: add, cast, scale, scale_rows, sum, and the count of values that are not finite. Read next:
// ops/elementwise/cpu.hpp.
#pragma once

#include <type_traits>

#include <cstdint>
#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/device/cuda/cuda.hpp"
#include "ashlar/device/cuda/grid_sum_tuning.hpp"
#include "ashlar/device/meta.hpp"
#include "ashlar/ops/elementwise/cpu.hpp"

namespace ashlar::inline v0::ops {

namespace cuda {
template <class T>
void add(Cuda::Queue&, TensorView<const T, Cuda> a, TensorView<const T, Cuda> b, TensorView<T, Cuda> out);
template <class From, class To>
void cast(Cuda::Queue&, TensorView<const From, Cuda> x, TensorView<To, Cuda> out);
template <class T>
void scale(Cuda::Queue&, TensorView<T, Cuda> x, double factor);
template <class T>
void scale_rows(Cuda::Queue&, TensorView<T, Cuda> x, TensorView<const float, Cuda> weights);
template <class A>
void sum(Cuda::Queue&, TensorView<const A, Cuda> x, TensorView<double, Cuda> total, TensorView<double, Cuda> workspace);
template <class T>
void count_non_finite(Cuda::Queue&, TensorView<const T, Cuda> x, TensorView<std::int32_t, Cuda> count);
}  // namespace cuda

/// out = a + b, elementwise over contiguous tensors of one count. out may alias either.
template <class T, class D>
void add(typename D::Queue& queue, In<T, D> a, In<T, D> b, TensorView<T, D> out) {
  check(a.count() == out.count() && b.count() == out.count() && a.contiguous() && b.contiguous() && out.contiguous(),
        "add: a, b and out must be contiguous and have one count");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(1.0 * out.count(), a, b, out);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::add<T>(a, b, out);
  else
    cuda::add<T>(queue, a, b, out);
}

/// out = x, both contiguous, converted: float to bf16 rounds to nearest even.
template <class From, class To, class D>
void cast(typename D::Queue& queue, TensorView<const From, D> x, TensorView<To, D> out) {
  check(x.count() == out.count() && x.contiguous() && out.contiguous(),
        "cast: x and out must be contiguous and have one count");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(0, x, out);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::cast<From, To>(x, out);
  else
    cuda::cast<From, To>(queue, x, out);
}

/// x, contiguous, is multiplied by `factor`, in Acc<T>.
template <class T, class D>
void scale(typename D::Queue& queue, TensorView<T, D> x, double factor) {
  check(x.contiguous(), "scale: x must be contiguous");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(1.0 * x.count(), x, x);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::scale<T>(x, factor);
  else
    cuda::scale<T>(queue, x, factor);
}

/// Row i of x [N, F] is multiplied by weights[i], in Acc<T>; where the weight is 0 it becomes 0, whatever it was. Row
/// strides are free.
template <class T, class D>
void scale_rows(typename D::Queue& queue, TensorView<T, D> x, In<float, D> weights) {
  check(weights.count() == x.rows() && weights.contiguous(), "scale_rows: x is [N, F], weights [N]");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(1.0 * x.count(), x, weights, x);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::scale_rows<T>(x, weights);
  else
    cuda::scale_rows<T>(queue, x, weights);
}

/// How many elements `workspace` of sum needs on D for n elements: one for each block of the sum. Zero where the device
/// needs none.
template <class D>
index_t sum_workspace(index_t n) {
  return std::is_same_v<D, Cuda> ? grid_sum_blocks(n) : 0;
}

/// total[0] += the sum of the contiguous x, kept in double, in an order that depends on the count alone.
template <class A, class D>
void sum(typename D::Queue& queue, TensorView<const A, D> x, TensorView<double, D> total,
         std::type_identity_t<TensorView<double, D>> workspace) {
  check(x.contiguous() && total.count() == 1 &&
            (sum_workspace<D>(x.count()) == 0 || workspace.count() >= sum_workspace<D>(x.count())),
        "sum: contiguous x, one total, and a workspace of sum_workspace(n) elements");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(1.0 * x.count(), x);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::sum<A>(x, total);
  else
    cuda::sum<A>(queue, x, total, workspace);
}

/// count[0] += how many elements of the contiguous x are NaN or infinite.
template <class T, class D>
void count_non_finite(typename D::Queue& queue, TensorView<const T, D> x, TensorView<std::int32_t, D> count) {
  check(x.contiguous() && count.count() == 1, "count_non_finite: contiguous x, one count");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(0, x);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::count_non_finite<T>(x, count);
  else
    cuda::count_non_finite<T>(queue, x, count);
}

}  // namespace ashlar::inline v0::ops
