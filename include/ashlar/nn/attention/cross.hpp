// Cross-attention: queries of one stream, keys and values of another (Vaswani et al. 2017, arXiv:1706.03762, section
// 3.2.3). Heads are cut over tp. Read next: nn/attention/core.hpp.
#pragma once

#include <cmath>
#include <utility>

#include "ashlar/nn/attention/core.hpp"
#include "ashlar/nn/attention/kinds.hpp"
#include "ashlar/nn/attention/sizes.hpp"
#include "ashlar/nn/column_parallel.hpp"
#include "ashlar/nn/row_parallel.hpp"

namespace ashlar::inline v0 {

/// Every query sees all rows of its sequence's memory, under Bidirectional; or what mask M shows it. Rows of x are
/// those of c.sequences(0), rows of memory those of c.sequences(1).
template <class E, Mask M = Bidirectional>
class CrossAttention {
 public:
  using D = typename E::Device;
  using View = typename E::View;
  using ConstView = typename E::ConstView;
  using Core = AttentionCore<E, M>;

  struct Saved {
    ConstView x, memory;        // [Nx / tp, dim], [Nm / tp, memory_dim], the caller's
    typename Core::Saved core;  // of this rank's heads
    typename ColumnParallel<E, 1>::Saved from;
    typename ColumnParallel<E, 2>::Saved to;
  };

  /// `memory_dim`: the width of the other stream. `depth_std` initialises wo.
  CrossAttention(Declarations<E> d, const GroupedQuerySizes& s, index_t memory_dim, double depth_std)
      : core_({s.num_heads / d.degree(Axis::tp), s.num_kv_heads / d.degree(Axis::tp), s.head_dim, s.head_dim,
               1.0 / std::sqrt(static_cast<double>(s.head_dim)), s.local},
              0),
        from_(d, s.dim, {{{"wq", s.num_heads * s.head_dim}}}),
        to_(d, memory_dim, {{{"wk", s.num_kv_heads * s.head_dim}, {"wv", s.num_kv_heads * s.head_dim}}}),
        out_(d, "wo", s.dim, s.num_heads * s.head_dim, depth_std) {
    if (s.num_heads % d.degree(Axis::tp) != 0 || s.num_kv_heads % d.degree(Axis::tp) != 0)
      throw ConfigError(concat("--parallelism.tensor_parallel_degree ", d.degree(Axis::tp), " must divide the ",
                               s.num_heads, " heads and the ", s.num_kv_heads, " key-value heads"));
  }

  /// y [Nx / tp, dim], in scratch.
  View forward(Context<E>& c, ConstView x, ConstView memory, Saved& saved) const {
    View y = c.scratch(x.shape());
    saved.x = x;
    saved.memory = memory;
    core_.allocate(c, c.sequences(0), c.sequences(1), saved.core);
    from_.forward(c, x, {saved.core.query}, saved.from);
    to_.forward(c, memory, {saved.core.key, saved.core.value}, saved.to);
    core_.forward(c, c.sequences(0), c.sequences(1), saved.core);
    out_.forward(c, saved.core.out, y);
    return y;
  }
  /// Makes the inputs of all ranks again; saved.x and saved.memory must be valid.
  void recompute(Context<E>& c, Saved& saved) const {
    from_.recompute(c, saved.x, saved.from);
    to_.recompute(c, saved.memory, saved.to);
  }

  /// The gradients of x and of memory, in scratch; accumulates the weight gradients.
  std::pair<View, View> backward(Context<E>& c, ConstView dy, const Saved& saved) {
    View dx = c.scratch(dy.shape()), dmemory = c.scratch(saved.memory.shape());
    ArenaScope scope(c.scratch_arena());
    View dq = c.operand(saved.core.query.shape()), dk = c.operand(saved.core.key.shape()),
         dv = c.operand(saved.core.value.shape());
    {
      ArenaScope inner(c.scratch_arena());
      View dout = c.scratch(saved.core.out.shape());
      out_.backward(c, dy, saved.core.out, dout);
      core_.backward(c, c.sequences(0), c.sequences(1), dout, saved.core, dq, dk, dv);
    }
    from_.backward(c, {dq}, saved.from, dx);
    to_.backward(c, {dk, dv}, saved.to, dmemory);
    return {dx, dmemory};
  }

 private:
  Core core_;
  ColumnParallel<E, 1> from_;
  ColumnParallel<E, 2> to_;
  RowParallel<E> out_;
};

}  // namespace ashlar::inline v0
