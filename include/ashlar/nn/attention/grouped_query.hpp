// Grouped-query attention with rotary positions: projections around the core. Heads are cut over tp. Read next:
// nn/attention/core.hpp.
#pragma once

#include <cmath>

#include "ashlar/nn/attention/core.hpp"
#include "ashlar/nn/attention/head_norm.hpp"
#include "ashlar/nn/attention/kinds.hpp"
#include "ashlar/nn/attention/rope_table.hpp"
#include "ashlar/nn/attention/sizes.hpp"
#include "ashlar/nn/column_parallel.hpp"
#include "ashlar/nn/row_parallel.hpp"
#include "ashlar/ops/elementwise/elementwise.hpp"
#include "ashlar/ops/rope/rope.hpp"

namespace ashlar::inline v0 {

template <class E, Mask M, class Positions, class Norm>
class GroupedQueryAttention {
 public:
  using D = typename E::Device;
  using View = typename E::View;
  using ConstView = typename E::ConstView;
  using Core = AttentionCore<E, M>;
  using Sizes = GroupedQuerySizes;
  using NormOfHeads =
      std::conditional_t<std::is_same_v<Norm, HeadNorm>, HeadRmsNorm<E>,
                         std::conditional_t<std::is_same_v<Norm, LengthNorm>, HeadLengthNorm<E>, NoHeadNorm<E>>>;

  struct Saved {
    ConstView x;                // [N / tp, dim], the caller's
    typename Core::Saved core;  // of this rank's heads
    typename NormOfHeads::Saved query_norm, key_norm;
    typename ColumnParallel<E, 3>::Saved in;
  };

  /// `layer` numbers the layers that have a cache. `rope` is the stage's table, of width head_dim. `depth_std`
  /// initialises wo.
  GroupedQueryAttention(Declarations<E> d, const Sizes& s, int layer, const RopeTable<E>& rope, double depth_std)
      : sizes_(checked(s, d.degree(Axis::tp))),
        rope_(&rope),
        core_({s.num_heads / d.degree(Axis::tp), s.num_kv_heads / d.degree(Axis::tp), s.head_dim, s.head_dim,
               rope.score_scale() / std::sqrt(static_cast<double>(s.head_dim)), s.local},
              layer),
        in_(d, s.dim,
            {{{"wq", s.num_heads * s.head_dim},
              {"wk", s.num_kv_heads * s.head_dim},
              {"wv", s.num_kv_heads * s.head_dim}}}),
        out_(d, "wo", s.dim, s.num_heads * s.head_dim, depth_std),
        query_norm_(d, "q_norm", s),
        key_norm_(d, "k_norm", s) {}

  const Core& core() const { return core_; }

  /// y [N / tp, dim] of x [N / tp, dim], in scratch.
  View forward(Context<E>& c, ConstView x, Saved& saved) const {
    View y = c.scratch(x.shape());
    saved.x = x;
    const auto& rows = c.sequences();
    core_.allocate(c, rows, rows, saved.core);
    in_.forward(c, x,
                {query_norm_.input(c, saved.core.query, saved.query_norm),
                 key_norm_.input(c, saved.core.key, saved.key_norm), saved.core.value},
                saved.in);
    const index_t begin = c.cache ? c.cache->length : 0;
    query_norm_.forward(c, saved.core.query, saved.query_norm);
    key_norm_.forward(c, saved.core.key, saved.key_norm);
    turn(c, saved.core.query, begin, ops::Direction::forward);
    turn(c, saved.core.key, begin, ops::Direction::forward);
    scale_queries(c, saved.core.query, begin);
    core_.forward(c, rows, rows, saved.core);
    out_.forward(c, saved.core.out, y);
    return y;
  }
  /// Makes the input of all ranks again; saved.x must be valid.
  void recompute(Context<E>& c, Saved& saved) const { in_.recompute(c, saved.x, saved.in); }

  /// dx [N / tp, dim] of dy [N / tp, dim], in scratch; accumulates the weight gradients.
  View backward(Context<E>& c, ConstView dy, const Saved& saved) {
    View dx = c.scratch(dy.shape());
    ArenaScope scope(c.scratch_arena());
    View dq = c.operand(saved.core.query.shape()), dk = c.operand(saved.core.key.shape()),
         dv = c.operand(saved.core.value.shape());
    {
      ArenaScope inner(c.scratch_arena());
      View dout = c.scratch(saved.core.out.shape());
      out_.backward(c, dy, saved.core.out, dout);
      core_.backward(c, c.sequences(), c.sequences(), dout, saved.core, dq, dk, dv);
    }
    scale_queries(c, dq, 0);
    turn(c, dq, 0, ops::Direction::backward);
    turn(c, dk, 0, ops::Direction::backward);
    query_norm_.backward(c, dq, saved.query_norm);
    key_norm_.backward(c, dk, saved.key_norm);
    c.observe("query", dq, {.columns_over = Axis::tp});
    c.observe("key", dk, {.columns_over = Axis::tp});
    c.observe("value", dv, {.columns_over = Axis::tp});
    in_.backward(c, {dq, dk, dv}, saved.in, dx);
    return dx;
  }

 private:
  static const Sizes& checked(const Sizes& s, int ranks) {
    if (s.num_heads % ranks != 0 || s.num_kv_heads % ranks != 0)
      throw ConfigError(concat("--parallelism.tensor_parallel_degree ", ranks, " must divide the ", s.num_heads,
                               " heads and the ", s.num_kv_heads, " key-value heads"));
    return s;
  }
  // Rotates the heads of x [N, heads * head_dim] in place; the first row is at position `begin`.
  void turn(Context<E>& c, View x, index_t begin, ops::Direction direction) const {
    if constexpr (detail::turns<Positions>)
      ops::rope<typename E::Compute, D>(
          c.queue, x, {x.cols() / sizes_.head_dim, sizes_.head_dim, 0, sizes_.head_dim, detail::pairs_of<Positions>},
          {c.sequences().len, begin, {}}, rope_->view(), direction);
  }

  // Rows of x [N, heads * head_dim], or of its gradient, by their positions' scales.
  void scale_queries(Context<E>& c, View x, index_t begin) const {
    if constexpr (std::is_same_v<Positions, ScaledQueries>) {
      const auto scales = rope_->query_scales();
      const index_t len = c.sequences().len;
      for (index_t b = 0; scales && b < c.sequences().count; ++b)
        ops::scale_rows<typename E::Compute, D>(c.queue, x.rows(b * len, len), scales.range(begin, len));
    }
  }

  Sizes sizes_;
  const RopeTable<E>* rope_;
  Core core_;
  ColumnParallel<E, 3> in_;
  RowParallel<E> out_;
  NormOfHeads query_norm_, key_norm_;
};

}  // namespace ashlar::inline v0
