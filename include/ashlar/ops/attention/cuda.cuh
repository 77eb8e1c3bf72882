// Attention on Cuda: picks the kernels for the GPU, the type and the head dimension, and launches them: those of Hopper
// (ops/attention/flash.cuh) where they take the call, else the plain ones. Read next: ops/attention/forward.cuh,
// ops/attention/backward.cuh, ops/attention/tuning.hpp.
#pragma once

#include <type_traits>

#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/ops/attention/backward.cuh"
#include "ashlar/ops/attention/flash.cuh"
#include "ashlar/ops/attention/forward.cuh"

namespace ashlar::inline v0::ops::cuda {

namespace kernel {

/// body(an integral constant): the first compiled head dimension that holds `dim`. Throws Error if none does.
template <int I = 0, class Body>
void with_head_dim(index_t dim, Body body) {
  constexpr int count = sizeof attention_tuning.head_dims / sizeof *attention_tuning.head_dims;
  if constexpr (I == count) {
    fail(concat("attention: head_dim is at most ", attention_tuning.head_dims[count - 1], " on Cuda; got ", dim));
  } else {
    constexpr int padded = attention_tuning.head_dims[I];
    if (dim <= padded)
      body(std::integral_constant<int, padded>{});
    else
      with_head_dim<I + 1>(dim, body);
  }
}

}  // namespace kernel

template <class M, class T>
void attention(Cuda::Queue& queue, const AttentionShape& shape, const typename M::State& mask,
               TensorView<const T, Cuda> query, TensorView<const T, Cuda> key, TensorView<const T, Cuda> value,
               TensorView<T, Cuda> out, TensorView<Acc<T>, Cuda> lse) {
  if constexpr (std::is_same_v<T, bf16>)
    if (flash_attention<M>(queue, shape, mask, query, key, value, out, lse)) return;
  const kernel::AttentionParams<M, T> params{shape,          mask,         rows_of(query), rows_of(key),
                                             rows_of(value), rows_of(out), lse.data()};
  kernel::with_head_dim(shape.head_dim, [&](auto dim) {
    using Kernel = kernel::Attention<M, T, dim>;
    launch<Kernel>(queue, {ceil_div(shape.query_len, Kernel::tile), shape.heads, shape.batch}, params);
  });
}

template <class M, class T>
void attention_backward(Cuda::Queue& queue, const AttentionShape& shape, const typename M::State& mask,
                        TensorView<const T, Cuda> query, TensorView<const T, Cuda> key, TensorView<const T, Cuda> value,
                        TensorView<const T, Cuda> out, TensorView<const Acc<T>, Cuda> lse,
                        TensorView<const T, Cuda> dout, TensorView<T, Cuda> dquery, TensorView<T, Cuda> dkey,
                        TensorView<T, Cuda> dvalue, TensorView<Acc<T>, Cuda> delta) {
  if constexpr (std::is_same_v<T, bf16>)
    if (flash_attention_backward<M>(queue, shape, mask, query, key, value, out, lse, dout, dquery, dkey, dvalue, delta))
      return;
  using Delta = kernel::AttentionDelta<T>;
  launch<Delta>(queue, {ceil_div(shape.query_len, Delta::rows_per_block), shape.heads, shape.batch},
                {shape, rows_of(out), rows_of(dout), delta.data()});
  const kernel::AttentionBackwardParams<M, T> params{shape,           mask,          rows_of(query), rows_of(key),
                                                     rows_of(value),  rows_of(dout), lse.data(),     delta.data(),
                                                     rows_of(dquery), rows_of(dkey), rows_of(dvalue)};
  kernel::with_head_dim(shape.head_dim, [&](auto dim) {
    using Key = kernel::AttentionKeyGradient<M, T, dim>;
    using Query = kernel::AttentionQueryGradient<M, T, dim>;
    launch<Key>(queue, {ceil_div(shape.key_len, Key::tile), shape.kv_heads, shape.batch}, params);
    launch<Query>(queue, {ceil_div(shape.query_len, Query::tile), shape.heads, shape.batch}, params);
  });
}

}  // namespace ashlar::inline v0::ops::cuda
