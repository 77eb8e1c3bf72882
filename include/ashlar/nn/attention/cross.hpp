// Cross-attention: queries of one stream, keys and values of another (Vaswani et al. 2017, arXiv:1706.03762, section
// 3.2.3). Heads are cut over tp. Read next: nn/attention/core.hpp.
#pragma once

#include <cmath>
#include <utility>

#include "ashlar/nn/attention/core.hpp"
#include "ashlar/nn/attention/kinds.hpp"
#include "ashlar/nn/attention/sizes.hpp"
#include "ashlar/nn/linear.hpp"
#include "ashlar/nn/sequence_parallel.hpp"

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
    ConstView x, memory;          // [Nx / tp, dim], [Nm / tp, memory_dim], the caller's
    typename Core::Saved core;    // of this rank's heads
    ConstView all_x, all_memory;  // of all ranks, recomputable
  };

  /// `memory_dim`: the width of the other stream. `depth_std` initialises wo.
  CrossAttention(Declarations<E> d, const GroupedQuerySizes& s, index_t memory_dim, double depth_std)
      : core_({s.num_heads / d.degree(Axis::tp), s.num_kv_heads / d.degree(Axis::tp), s.head_dim, s.head_dim,
               1.0 / std::sqrt(static_cast<double>(s.head_dim)), s.local},
              0),
        wq_(d, "wq", s.num_heads * s.head_dim, s.dim, LinearKind::column_parallel, initializer()),
        wk_(d, "wk", s.num_kv_heads * s.head_dim, memory_dim, LinearKind::column_parallel, initializer()),
        wv_(d, "wv", s.num_kv_heads * s.head_dim, memory_dim, LinearKind::column_parallel, initializer()),
        wo_(d, "wo", s.dim, s.num_heads * s.head_dim, LinearKind::row_parallel,
            Initializer::truncated_normal(depth_std, 2)) {
    if (s.num_heads % d.degree(Axis::tp) != 0 || s.num_kv_heads % d.degree(Axis::tp) != 0)
      throw ConfigError(concat("--parallelism.tensor_parallel_degree ", d.degree(Axis::tp), " must divide the ",
                               s.num_heads, " heads and the ", s.num_kv_heads, " key-value heads"));
  }

  /// y [Nx / tp, dim], in scratch.
  View forward(Context<E>& c, ConstView x, ConstView memory, Saved& saved) const {
    View y = c.scratch({x.rows(), x.cols()});
    saved.x = x;
    saved.memory = memory;
    core_.allocate(c, c.sequences(0), c.sequences(1), saved.core);
    recompute(c, saved);
    wq_.forward(c, saved.all_x, saved.core.query);
    wk_.forward(c, saved.all_memory, saved.core.key);
    wv_.forward(c, saved.all_memory, saved.core.value);
    core_.forward(c, c.sequences(0), c.sequences(1), saved.core);
    sum_rows(c, y, [&](View target) { wo_.forward(c, ConstView(saved.core.out), target); });
    return y;
  }
  /// Makes all_x and all_memory again; saved.x and saved.memory must be valid.
  void recompute(Context<E>& c, Saved& saved) const {
    saved.all_x = all_rows(c, saved.x);
    saved.all_memory = all_rows(c, saved.memory);
  }

  /// The gradients of x and of memory, in scratch; accumulates the weight gradients.
  std::pair<View, View> backward(Context<E>& c, ConstView dy, const Saved& saved) {
    View dx = c.scratch(dy.shape()), dmemory = c.scratch({saved.memory.rows(), saved.memory.cols()});
    ArenaScope scope(c.scratch_arena());
    const ConstView dy_all = all_gradient_rows(c, dy);
    View dq = c.operand(saved.core.query.shape()), dk = c.operand(saved.core.key.shape()),
         dv = c.operand(saved.core.value.shape());
    {
      ArenaScope inner(c.scratch_arena());
      View dout = c.scratch(saved.core.out.shape());
      wo_.input_gradient(c, dy_all, dout);
      wo_.weight_gradient(c, dy_all, saved.core.out);
      core_.backward(c, c.sequences(0), c.sequences(1), dout, saved.core, dq, dk, dv);
    }
    wq_.weight_gradient(c, dq, saved.all_x);
    wk_.weight_gradient(c, dk, saved.all_memory);
    wv_.weight_gradient(c, dv, saved.all_memory);
    sum_rows(c, dx, [&](View target) { wq_.input_gradient(c, dq, target); });
    sum_rows(c, dmemory, [&](View target) {
      wk_.input_gradient(c, dk, target);
      wv_.input_gradient(c, dv, target, true);
    });
    return {dx, dmemory};
  }

 private:
  static Initializer initializer() { return Initializer::truncated_normal(0.02, 2); }

  Core core_;
  Linear<E> wq_, wk_, wv_, wo_;
};

}  // namespace ashlar::inline v0
