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
    fail(concat("attention: head_dim and value_dim are at most ", attention_tuning.head_dims[count - 1],
                " on Cuda; got ", dim));
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
               const QueryKeyValue<const T, Cuda>& in, const AttentionOut<T, Cuda>& result, Merge merge) {
  if constexpr (std::is_same_v<T, bf16> && flash_takes<M>)
    if (merge == Merge::replace && flash_attention<M>(queue, shape, mask, in, result)) return;
  const kernel::AttentionParams<M, T> params{
      shape, mask, rows_of(in.query), rows_of(in.key), rows_of(in.value), rows_of(result.out), result.lse.data(),
      merge};
  kernel::with_head_dim(shape.value_dim, [&](auto dim) {
    using Kernel = kernel::Attention<M, T, dim>;
    launch<Kernel>(queue, {ceil_div(shape.query_len, Kernel::tile), shape.heads, shape.batch}, params);
  });
}

template <class T>
void attention_delta(Cuda::Queue& queue, const AttentionShape& shape, TensorView<const T, Cuda> out,
                     TensorView<const T, Cuda> dout, TensorView<Acc<T>, Cuda> delta) {
  if constexpr (std::is_same_v<T, bf16>)
    if (flash_attention_delta(queue, shape, out, dout, delta)) return;
  using Kernel = kernel::AttentionDelta<T>;
  launch<Kernel>(queue, {ceil_div(shape.query_len, Kernel::rows_per_block), shape.heads, shape.batch},
                 {shape, rows_of(out), rows_of(dout), delta.data()});
}

template <class M, class T>
void attention_backward(Cuda::Queue& queue, const AttentionShape& shape, const typename M::State& mask,
                        const QueryKeyValue<const T, Cuda>& in, TensorView<const Acc<T>, Cuda> lse,
                        TensorView<const Acc<T>, Cuda> delta, TensorView<const T, Cuda> dout,
                        const QueryKeyValue<T, Cuda>& gradients, bool accumulate, TensorView<Acc<T>, Cuda> query_sums) {
  if constexpr (std::is_same_v<T, bf16> && flash_takes<M>)
    if (flash_attention_backward<M>(queue, shape, mask, in, lse, delta, dout, gradients, accumulate, query_sums))
      return;
  const kernel::AttentionBackwardParams<M, T> params{shape,
                                                     mask,
                                                     rows_of(in.query),
                                                     rows_of(in.key),
                                                     rows_of(in.value),
                                                     rows_of(dout),
                                                     lse.data(),
                                                     delta.data(),
                                                     rows_of(gradients.query),
                                                     rows_of(gradients.key),
                                                     rows_of(gradients.value),
                                                     accumulate};
  kernel::with_head_dim(shape.head_dim > shape.value_dim ? shape.head_dim : shape.value_dim, [&](auto dim) {
    using Kernel = kernel::AttentionKeyGradient<M, T, dim>;
    launch<Kernel>(queue, {ceil_div(shape.key_len, Kernel::tile), shape.kv_heads, shape.batch}, params);
  });
  kernel::with_head_dim(shape.head_dim, [&](auto dim) {
    using Kernel = kernel::AttentionQueryGradient<M, T, dim>;
    launch<Kernel>(queue, {ceil_div(shape.query_len, Kernel::tile), shape.heads, shape.batch}, params);
  });
}

}  // namespace ashlar::inline v0::ops::cuda
