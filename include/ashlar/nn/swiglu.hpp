// SwiGLU feed-forward: y = W2 (silu(W1 x) W3 x). Column-parallel in, row-parallel out.
#pragma once

#include <string_view>

#include "ashlar/nn/column_parallel.hpp"
#include "ashlar/nn/row_parallel.hpp"
#include "ashlar/ops/swiglu/swiglu.hpp"

namespace ashlar::inline v0 {

template <class E>
class SwiGluFeedForward;

/// The dense feed-forward kind.
struct SwiGlu {
  static constexpr std::string_view name = "feed_forward";
  template <class E>
  using Module = SwiGluFeedForward<E>;
};

template <class E>
class SwiGluFeedForward {
 public:
  using T = typename E::Compute;
  using View = typename E::View;
  using ConstView = typename E::ConstView;

  struct Saved {
    ConstView x;    // [N / tp, dim], the caller's: kept or recomputable by it
    View gate, up;  // [N, hidden / tp], kept
    typename ColumnParallel<E, 2>::Saved in;
    View h;  // [N, hidden / tp], recomputable
  };

  /// w1, w3: [hidden_dim, dim]; w2: [dim, hidden_dim]. `depth_std` is the standard deviation of w2 and w3.
  SwiGluFeedForward(Declarations<E> d, index_t dim, index_t hidden_dim, double depth_std)
      : in_(d, dim, {{{"w1", hidden_dim}, {"w3", hidden_dim, Initializer::truncated_normal(depth_std, 2)}}}),
        out_(d, "w2", dim, hidden_dim, depth_std) {}

  /// y [N / tp, dim] of x [N / tp, dim], in scratch.
  View forward(Context<E>& c, ConstView x, Saved& saved) const {
    View y = c.scratch(x.shape());
    saved.x = x;
    saved.gate = c.kept({all_rows(c, x), in_.out_dim(0)});
    saved.up = c.kept(saved.gate.shape());
    in_.forward(c, x, {saved.gate, saved.up}, saved.in);
    activate(c, saved);
    c.observe("h", saved.h, {.columns_over = Axis::tp});
    out_.forward(c, saved.h, y);
    return y;
  }
  /// Makes the input of all ranks and `h` again; saved.x must be valid.
  void recompute(Context<E>& c, Saved& saved) const {
    in_.recompute(c, saved.x, saved.in);
    activate(c, saved);
  }

  /// dx [N / tp, dim] of dy [N / tp, dim], in scratch; accumulates the weight gradients.
  View backward(Context<E>& c, ConstView dy, const Saved& saved) {
    View dx = c.scratch(dy.shape());
    ArenaScope scope(c.scratch_arena());
    View dgate = c.operand(saved.gate.shape()), dup = c.operand(saved.gate.shape());
    out_.backward(c, dy, saved.h, dgate);
    ops::swiglu_backward<T>(c.queue, dgate, saved.gate, saved.up, dgate, dup);
    in_.backward(c, {dgate, dup}, saved.in, dx);
    return dx;
  }

 private:
  void activate(Context<E>& c, Saved& saved) const {
    saved.h = c.recomputable(saved.gate.shape());
    ops::swiglu<T>(c.queue, saved.gate, saved.up, saved.h);
  }

  ColumnParallel<E, 2> in_;
  RowParallel<E> out_;
};

}  // namespace ashlar::inline v0
