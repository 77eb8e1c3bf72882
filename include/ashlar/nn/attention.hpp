// Multi-head attention with rotary positions and grouped key-value heads, under the recipe's mask. Heads are cut over
// tp. Used by models/block.hpp. Read next: ops/attention/attention.hpp.
#pragma once

#include <cmath>

#include "ashlar/nn/linear.hpp"
#include "ashlar/nn/rope_table.hpp"
#include "ashlar/nn/sequence_parallel.hpp"
#include "ashlar/ops/attention/attention.hpp"
#include "ashlar/ops/rope/rope.hpp"

namespace ashlar::inline v0 {

namespace detail {
template <class Kind>
inline constexpr bool is_flash = is_instance<Kind, Flash>;
template <class Kind>
inline constexpr bool is_flex = is_instance<Kind, Flex>;

/// The requirements of an attention kind, a sentence each.
template <class Kind>
constexpr void check_attention_kind() {
  static_assert(
      std::is_same_v<Kind, Sdpa> || is_flash<Kind> || is_flex<Kind>,
      "Attn<...> takes Sdpa, Flash<Mask> or Flex<Mask>; a mask of your own goes inside, as in Attn<Flex<MyMask>>.");
  if constexpr (std::is_same_v<Kind, Sdpa> || is_flash<Kind> || is_flex<Kind>) {
    static_assert(
        Mask<typename Kind::Mask>,
        "Flash<M> and Flex<M> need a mask: a struct with State, needs_documents, visible, keys and all_visible "
        "(see ashlar/ops/attention/mask.hpp).");
    if constexpr (is_flash<Kind> && Mask<typename Kind::Mask>)
      static_assert(
          !Kind::Mask::needs_documents,
          "Flash<M> takes masks without state; a mask that needs documents goes into Flex, as in Flex<BlockCausal>.");
  }
}
}  // namespace detail

/// Sizes of one attention module; logical, not a rank's.
struct AttentionSizes {
  index_t dim = 0, num_heads = 0, num_kv_heads = 0, head_dim = 0;
};

template <class E>
class Attention {
 public:
  using T = typename E::Compute;
  using D = typename E::Device;
  using View = TensorView<T, D>;
  using ConstView = TensorView<const T, D>;
  using Kind = typename E::Recipe::Attention;
  static_assert((detail::check_attention_kind<Kind>(), true));
  using MaskT = typename Kind::Mask;

  struct Saved {
    ConstView x;                  // [N / tp, dim], the caller's
    View query, key, value, out;  // [N, heads / tp * head_dim], kept (key, value: kv heads)
    TensorView<Acc<T>, D> lse;    // [B heads / tp S], kept
    ConstView all;                // [N, dim], recomputable: x of all ranks
  };

  /// `layer` indexes the key-value cache. `depth_std` initialises wo.
  Attention(Declarations<E>& d, const AttentionSizes& s, int layer, const RopeTable<E>& rope, double depth_std)
      : sizes_(s),
        layer_(layer),
        rope_(&rope),
        ranks_(d.degree(Axis::tp)),
        wq_(d, "wq", s.num_heads * s.head_dim, s.dim, LinearKind::column_parallel,
            Initializer::truncated_normal(0.02, 2)),
        wk_(d, "wk", s.num_kv_heads * s.head_dim, s.dim, LinearKind::column_parallel,
            Initializer::truncated_normal(0.02, 2)),
        wv_(d, "wv", s.num_kv_heads * s.head_dim, s.dim, LinearKind::column_parallel,
            Initializer::truncated_normal(0.02, 2)),
        wo_(d, "wo", s.dim, s.num_heads * s.head_dim, LinearKind::row_parallel,
            Initializer::truncated_normal(depth_std, 2)) {
    if (s.num_heads % ranks_ != 0 || s.num_kv_heads % ranks_ != 0)
      throw ConfigError(concat("--parallelism.tensor_parallel_degree ", ranks_, " must divide the ", s.num_heads,
                               " heads and the ", s.num_kv_heads, " key-value heads"));
  }

  /// y [N / tp, dim] of x [N / tp, dim], in scratch.
  View forward(Context<E>& c, ConstView x, Saved& saved) const {
    View y = c.template scratch<T>({x.rows(), x.cols()});
    saved.x = x;
    const index_t n = c.batch.rows();
    saved.query = c.template kept<T>({n, wq_.out_dim()});
    saved.key = c.template kept<T>({n, wk_.out_dim()});
    saved.value = c.template kept<T>({n, wk_.out_dim()});
    saved.out = c.template kept<T>({n, wq_.out_dim()});
    saved.lse = c.template kept<Acc<T>>({n * sizes_.num_heads / ranks_});
    saved.all = all_rows(c, saved.x);
    wq_.forward(c, saved.all, saved.query);
    wk_.forward(c, saved.all, saved.key);
    wv_.forward(c, saved.all, saved.value);
    const index_t offset = c.cache ? c.cache->length : 0;
    rotate(c, saved.query, sizes_.num_heads, offset, ops::Direction::forward);
    rotate(c, saved.key, sizes_.num_kv_heads, offset, ops::Direction::forward);
    c.observe("query", saved.query);
    c.observe("key", saved.key);
    c.observe("value", saved.value);
    if (c.cache)
      attend_cached(c, saved);
    else
      ops::attention<MaskT, T, D>(c.queue, shape(c), mask(c), {saved.query, saved.key, saved.value},
                                  {saved.out, saved.lse});
    c.observe("out", saved.out);
    sum_rows(c, y, [&](View target) { wo_.forward(c, ConstView(saved.out), target); });
    return y;
  }
  /// Makes `all` again; saved.x must be valid.
  void recompute(Context<E>& c, Saved& saved) const { saved.all = all_rows(c, saved.x); }

  /// dx [N / tp, dim] of dy [N / tp, dim], in scratch; accumulates the weight gradients.
  View backward(Context<E>& c, ConstView dy, const Saved& saved) {
    View dx = c.template scratch<T>({dy.rows(), dy.cols()});
    ArenaScope scope(c.scratch_arena());
    const ConstView dy_all = all_gradient_rows(c, dy);
    View dq = c.template operand<T>(saved.query.shape()), dk = c.template operand<T>(saved.key.shape()),
         dv = c.template operand<T>(saved.value.shape());
    {
      ArenaScope inner(c.scratch_arena());
      View dout = c.template scratch<T>(saved.out.shape());
      auto delta = c.template scratch<Acc<T>>({saved.lse.count()});
      wo_.input_gradient(c, dy_all, dout);
      wo_.weight_gradient(c, dy_all, saved.out);
      ops::attention_delta<T, D>(c.queue, shape(c), saved.out, dout, delta);
      ops::attention_backward<MaskT, T, D>(c.queue, shape(c), mask(c), {saved.query, saved.key, saved.value}, saved.lse,
                                           delta, dout, {dq, dk, dv});
    }
    rotate(c, dq, sizes_.num_heads, 0, ops::Direction::backward);
    rotate(c, dk, sizes_.num_kv_heads, 0, ops::Direction::backward);
    c.observe("query", dq);
    c.observe("key", dk);
    c.observe("value", dv);
    wq_.weight_gradient(c, dq, saved.all);
    wk_.weight_gradient(c, dk, saved.all);
    wv_.weight_gradient(c, dv, saved.all);
    sum_rows(c, dx, [&](View target) {
      wq_.input_gradient(c, dq, target);
      wk_.input_gradient(c, dk, target, true);
      wv_.input_gradient(c, dv, target, true);
    });
    return dx;
  }

 private:
  ops::AttentionShape shape(Context<E>& c) const {
    const index_t s = c.batch.seq_len;
    return {c.batch.batch,
            s,
            s,
            s,
            sizes_.num_heads / ranks_,
            sizes_.num_kv_heads / ranks_,
            sizes_.head_dim,
            sizes_.head_dim,
            1.0 / std::sqrt(static_cast<double>(sizes_.head_dim))};
  }
  void rotate(Context<E>& c, View x, index_t num_heads, index_t offset, ops::Direction direction) const {
    const ops::RopeShape whole_heads{num_heads / ranks_, sizes_.head_dim, 0, sizes_.head_dim};
    ops::rope<T, D>(c.queue, x, whole_heads, {c.batch.seq_len, offset}, rope_->view(), direction);
  }
  static typename MaskT::State mask(Context<E>& c) {
    if constexpr (MaskT::needs_documents)
      return {c.batch.document_start.data(), c.cache ? c.cache->capacity : c.batch.seq_len};
    else
      return {};
  }
  // Appends the new keys and values to the cache and attends to all of it.
  void attend_cached(Context<E>& c, Saved& saved) const {
    auto& cache = *c.cache;
    auto& layer = cache.layers[static_cast<std::size_t>(layer_)];
    ops::AttentionShape s = shape(c);
    s.query_begin = cache.length;
    s.key_len = cache.length + s.query_len;
    s.key_capacity = cache.capacity;
    const std::size_t bytes = static_cast<std::size_t>(s.query_len * saved.key.cols()) * sizeof(T);
    for (index_t b = 0; b < s.batch; ++b) {
      const index_t at = b * cache.capacity + cache.length;
      D::copy(c.queue, layer.key.view().rows(at, 1).data(), saved.key.rows(b * s.query_len, 1).data(), bytes);
      D::copy(c.queue, layer.value.view().rows(at, 1).data(), saved.value.rows(b * s.query_len, 1).data(), bytes);
    }
    ops::attention<MaskT, T, D>(c.queue, s, mask(c), {saved.query, layer.key.view(), layer.value.view()},
                                {saved.out, saved.lse});
  }

  AttentionSizes sizes_;
  int layer_;
  const RopeTable<E>* rope_;
  int ranks_;
  Linear<E> wq_, wk_, wv_, wo_;
};

}  // namespace ashlar::inline v0
