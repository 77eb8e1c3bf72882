// Moves columns between rows that are made of heads: what splits a projection into queries, keys and values, joins
// parts of heads, gives one head's columns to all, and sums those of all into one. Read next: ops/heads/cpu.hpp.
#pragma once

#include <type_traits>

#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/device/cuda/cuda.hpp"
#include "ashlar/device/meta.hpp"
#include "ashlar/ops/heads/cpu.hpp"
#include "ashlar/ops/heads/shape.hpp"

namespace ashlar::inline v0::ops {

namespace cuda {
template <class T>
void move_heads(Cuda::Queue&, TensorView<const T, Cuda> x, const HeadColumns& from, TensorView<T, Cuda> y,
                const HeadColumns& to, index_t width);
}  // namespace cuda

/// `width` columns of each head of x [N, from.heads * from.head_dim] become those of y [N, to.heads * to.head_dim]; the
/// rest of y stays. With as many heads on both sides, head by head; from one head, all of y's get the same; to one
/// head, it gets their sum, added in Acc<T> in the order of heads. x and y do not overlap. Row strides are free.
template <class T, class D>
void move_heads(typename D::Queue& queue, In<T, D> x, const HeadColumns& from, TensorView<T, D> y,
                const HeadColumns& to, index_t width) {
  if (x.rows() != y.rows() || x.cols() != from.heads * from.head_dim || y.cols() != to.heads * to.head_dim ||
      from.begin + width > from.head_dim || to.begin + width > to.head_dim ||
      (from.heads != to.heads && from.heads != 1 && to.heads != 1))
    fail(concat("move_heads: ", width, " columns from ", from.begin, " of ", from.heads, " heads of ", from.head_dim,
                " to ", to.begin, " of ", to.heads, " heads of ", to.head_dim, " do not fit rows of ",
                to_string(x.shape()), " and ", to_string(y.shape())));
  if constexpr (std::is_same_v<D, Meta>) {
    const TensorView<T, D> read(nullptr, {x.rows(), from.heads * width}),
        written(nullptr, {y.rows(), to.heads * width});
    queue.count(1.0 * (from.heads > to.heads ? read.count() : 0), read, written);
  } else if constexpr (std::is_same_v<D, Cpu>) {
    cpu::move_heads<T>(x, from, y, to, width);
  } else {
    cuda::move_heads<T>(queue, x, from, y, to, width);
  }
}

}  // namespace ashlar::inline v0::ops
