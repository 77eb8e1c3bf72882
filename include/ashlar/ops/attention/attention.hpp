// Attention with a mask policy, grouped key-value heads and memory linear in sequence length: nothing of size
// [queries, keys] is ever stored (Dao et al. 2022, arXiv:2205.14135). Over blocks of keys, wherever they are, it is a
// loop of calls. Read next: ops/attention/arguments.hpp, ops/attention/mask.hpp, ops/attention/cpu.hpp.
#pragma once

#include <type_traits>

#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/device/cuda/cuda.hpp"
#include "ashlar/device/meta.hpp"
#include "ashlar/ops/attention/arguments.hpp"
#include "ashlar/ops/attention/cpu.hpp"
#include "ashlar/ops/attention/flash_tuning.hpp"
#include "ashlar/ops/attention/local_masks.hpp"
#include "ashlar/ops/attention/mask.hpp"

namespace ashlar::inline v0::ops {

namespace cuda {
template <class M, class T>
void attention(Cuda::Queue&, const AttentionShape& shape, const typename M::State& mask,
               const QueryKeyValue<const T, Cuda>& in, const AttentionOut<T, Cuda>& result, Merge merge);
template <class T>
void attention_delta(Cuda::Queue&, const AttentionShape& shape, TensorView<const T, Cuda> out,
                     TensorView<const T, Cuda> dout, TensorView<Acc<T>, Cuda> delta);
template <class M, class T>
void attention_backward(Cuda::Queue&, const AttentionShape& shape, const typename M::State& mask,
                        const QueryKeyValue<const T, Cuda>& in, TensorView<const Acc<T>, Cuda> lse,
                        TensorView<const Acc<T>, Cuda> delta, TensorView<const T, Cuda> dout,
                        const QueryKeyValue<T, Cuda>& gradients, bool accumulate, TensorView<Acc<T>, Cuda> query_sums);
}  // namespace cuda

/// The operations of `of_head` products of a head of query and key, and `of_value` of a head of values, over the pairs
/// that M leaves.
template <class M>
double attention_flops(const AttentionShape& s, const typename M::State& mask, int of_head, int of_value) {
  const double columns = static_cast<double>(of_head * s.head_dim + of_value * s.value_dim);
  return 2.0 * static_cast<double>(s.batch * s.heads) * visible_pairs<M>(mask, s.query_len, s.key_len) * columns;
}

/// out = softmax(scale query key^T, where M lets a query see a key) value, and lse; with Merge::by_lse, the same over
/// these keys and those whose result out and lse hold. Scores and sums in Acc<T>; out is rounded to T at every call.
/// A masked key has weight 0: a value that is not finite may reach queries that do not see it.
/// Write `attention<M, T, D>(queue, shape, mask, {query, key, value}, {out, lse})`.
template <Mask M, class T, class D>
void attention(typename D::Queue& queue, const AttentionShape& shape, const typename M::State& mask,
               const QueryKeyValue<const T, D>& in, const AttentionOut<T, D>& result, Merge merge = Merge::replace) {
  in.check(shape);
  check_attention_rows(shape, result.out.shape(), result.lse.count());
  if constexpr (std::is_same_v<D, Meta>) {
    const bool reads = merge == Merge::by_lse;
    queue.count(attention_flops<M>(shape, mask, 1, 1), in.query, in.key, in.value, result.out, result.lse,
                reads ? result.out : TensorView<T, D>(), reads ? result.lse : TensorView<Acc<T>, D>());
  } else if constexpr (std::is_same_v<D, Cpu>)
    cpu::attention<M, T>(shape, mask, in, result, merge);
  else
    cuda::attention<M, T>(queue, shape, mask, in, result, merge);
}

/// delta [B heads query_len] = the products of rows of out and its gradient: what attention_backward wants, made once
/// from the result over all keys.
template <class T, class D>
void attention_delta(typename D::Queue& queue, const AttentionShape& shape, In<T, D> out, In<T, D> dout,
                     std::type_identity_t<TensorView<Acc<T>, D>> delta) {
  check_attention_rows(shape, out.shape(), delta.count());
  check_attention_rows(shape, dout.shape(), delta.count());
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(0, out, dout, delta);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::attention_delta<T>(shape, out, dout, delta);
  else
    cuda::attention_delta<T>(queue, shape, out, dout, delta);
}

/// How many elements of Acc<T> attention_backward may be given to add the gradient of queries in; 0 where it adds none.
template <class D>
index_t attention_query_sums(const AttentionShape& s) {
  const bool adds = !std::is_same_v<D, Cpu> && s.head_dim == s.value_dim && (s.head_dim == 64 || s.head_dim == 128);
  return adds ? s.batch * s.heads * round_up(s.query_len, flash_adding_tunings[s.head_dim / 128].tile) * s.head_dim : 0;
}

/// The gradients of query, key and value, each written whole or, when `accumulate`, added to what is there; rows past
/// key_len are left alone. lse and delta are those over all keys, of which these may be a block: scores are recomputed
/// from them. Same bits every time; but with `query_sums`, of attention_query_sums elements, kernels that can (those of
/// Hopper) add the gradient of queries there by atomics, in no order, which is faster.
template <Mask M, class T, class D>
void attention_backward(typename D::Queue& queue, const AttentionShape& shape, const typename M::State& mask,
                        const QueryKeyValue<const T, D>& in, In<Acc<T>, D> lse, In<Acc<T>, D> delta, In<T, D> dout,
                        const QueryKeyValue<T, D>& gradients, bool accumulate = false,
                        std::type_identity_t<TensorView<Acc<T>, D>> query_sums = {}) {
  in.check(shape);
  gradients.check(shape);
  check_attention_rows(shape, dout.shape(), lse.count());
  check_attention_rows(shape, dout.shape(), delta.count());
  check(!query_sums || query_sums.count() == 0 || query_sums.count() == attention_query_sums<D>(shape),
        "attention_backward: query_sums must have attention_query_sums elements, or none");
  if constexpr (std::is_same_v<D, Meta>) {
    const QueryKeyValue<T, D> read = accumulate ? gradients : QueryKeyValue<T, D>();
    queue.count(attention_flops<M>(shape, mask, 3, 2), in.query, in.key, in.value, lse, delta, dout, gradients.query,
                gradients.key, gradients.value, read.query, read.key, read.value);
  } else if constexpr (std::is_same_v<D, Cpu>)
    cpu::attention_backward<M, T>(shape, mask, in, lse, delta, dout, gradients, accumulate);
  else
    cuda::attention_backward<M, T>(queue, shape, mask, in, lse, delta, dout, gradients, accumulate, query_sums);
}

}  // namespace ashlar::inline v0::ops
