// Attention with a mask policy, grouped key-value heads and memory linear in sequence length: nothing of size
// [queries, keys] is ever stored (Dao et al. 2022, arXiv:2205.14135). Used by nn/attention.hpp.
// Read next: ops/attention/mask.hpp, ops/attention/cpu.hpp.
#pragma once

#include <type_traits>

#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/device/cuda/cuda.hpp"
#include "ashlar/device/meta.hpp"
#include "ashlar/ops/attention/cpu.hpp"
#include "ashlar/ops/attention/mask.hpp"
#include "ashlar/ops/attention/shape.hpp"

namespace ashlar::inline v0::ops {

namespace cuda {
template <class M, class T>
void attention(Cuda::Queue&, const AttentionShape& shape, const typename M::State& mask,
               TensorView<const T, Cuda> query, TensorView<const T, Cuda> key, TensorView<const T, Cuda> value,
               TensorView<T, Cuda> out, TensorView<Acc<T>, Cuda> lse);
template <class M, class T>
void attention_backward(Cuda::Queue&, const AttentionShape& shape, const typename M::State& mask,
                        TensorView<const T, Cuda> query, TensorView<const T, Cuda> key, TensorView<const T, Cuda> value,
                        TensorView<const T, Cuda> out, TensorView<const Acc<T>, Cuda> lse,
                        TensorView<const T, Cuda> dout, TensorView<T, Cuda> dquery, TensorView<T, Cuda> dkey,
                        TensorView<T, Cuda> dvalue, TensorView<Acc<T>, Cuda> delta);
}  // namespace cuda

/// The operations of one product over all pairs of query and key. Half of the pairs are counted: what a causal mask
/// leaves.
inline double attention_flops(const AttentionShape& s) {
  return 1.0 * s.batch * s.heads * s.query_len * s.key_len * s.head_dim;
}

/// out = softmax(scale query key^T, where M lets a query see a key) value.
/// query and out: [B query_len, heads head_dim]; key and value: [B key_capacity, kv_heads head_dim], of which the first
/// key_len rows of each sequence are read; head h uses key-value head h / (heads / kv_heads). Row strides are free.
/// lse [B heads query_len] = the logarithm of the sum of exponentials, natural; -inf where a query sees no key: its out
/// is 0. Scores and sums in Acc<T>. A masked key has weight 0: a value that is not finite may reach queries that do not
/// see it.
template <Mask M, class T, class D>
void attention(typename D::Queue& queue, const AttentionShape& shape, const typename M::State& mask, In<T, D> query,
               In<T, D> key, In<T, D> value, TensorView<T, D> out, std::type_identity_t<TensorView<Acc<T>, D>> lse) {
  shape.check(query.shape(), key.shape(), value.shape(), out.shape(), lse.count());
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(2 * attention_flops(shape), query, key, value, out, lse);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::attention<M, T>(shape, mask, query, key, value, out, lse);
  else
    cuda::attention<M, T>(queue, shape, mask, query, key, value, out, lse);
}

/// The gradients of query, key and value, each written whole (rows past key_len are left alone). delta [B heads
/// query_len] is workspace. Scores are recomputed from lse. Same bits every time.
template <Mask M, class T, class D>
void attention_backward(typename D::Queue& queue, const AttentionShape& shape, const typename M::State& mask,
                        In<T, D> query, In<T, D> key, In<T, D> value, In<T, D> out, In<Acc<T>, D> lse, In<T, D> dout,
                        TensorView<T, D> dquery, TensorView<T, D> dkey, TensorView<T, D> dvalue,
                        std::type_identity_t<TensorView<Acc<T>, D>> delta) {
  shape.check(query.shape(), key.shape(), value.shape(), out.shape(), lse.count());
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(5 * attention_flops(shape), query, key, value, out, lse, dout, dquery, dkey, dvalue, delta, delta);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::attention_backward<M, T>(shape, mask, query, key, value, out, lse, dout, dquery, dkey, dvalue, delta);
  else
    cuda::attention_backward<M, T>(queue, shape, mask, query, key, value, out, lse, dout, dquery, dkey, dvalue, delta);
}

}  // namespace ashlar::inline v0::ops
