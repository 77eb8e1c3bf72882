// SwiGLU feed-forward: y = W2 (silu(W1 x) W3 x). Column-parallel in, row-parallel out. Used by models/block.hpp and, as
// the shared expert, by moe/moe.hpp.
#pragma once

#include <string_view>

#include "ashlar/nn/linear.hpp"
#include "ashlar/nn/sequence_parallel.hpp"
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
  using D = typename E::Device;
  using View = TensorView<T, D>;
  using ConstView = TensorView<const T, D>;

  struct Saved {
    ConstView x;    // [N / tp, dim], the caller's: kept or recomputable by it
    View gate, up;  // [N, hidden / tp], kept
    ConstView all;  // [N, dim], recomputable: x of all ranks
    View h;         // [N, hidden / tp], recomputable
  };

  /// w1, w3: [hidden_dim, dim]; w2: [dim, hidden_dim]. `depth_std` is the standard deviation of w2 and w3.
  SwiGluFeedForward(Declarations<E> d, index_t dim, index_t hidden_dim, double depth_std)
      : w1_(d, "w1", hidden_dim, dim, LinearKind::column_parallel, Initializer::truncated_normal(0.02, 2)),
        w3_(d, "w3", hidden_dim, dim, LinearKind::column_parallel, Initializer::truncated_normal(depth_std, 2)),
        w2_(d, "w2", dim, hidden_dim, LinearKind::row_parallel, Initializer::truncated_normal(depth_std, 2)) {}

  /// y [N / tp, dim] of x [N / tp, dim], in scratch.
  View forward(Context<E>& c, ConstView x, Saved& saved) const {
    View y = c.scratch({x.rows(), x.cols()});
    saved.x = x;
    saved.gate = c.kept({rows(c, x), w1_.out_dim()});
    saved.up = c.kept({rows(c, x), w1_.out_dim()});
    saved.all = all_rows(c, saved.x);
    w1_.forward(c, saved.all, saved.gate);
    w3_.forward(c, saved.all, saved.up);
    activate(c, saved);
    c.observe("h", saved.h);
    sum_rows(c, y, [&](View target) { w2_.forward(c, ConstView(saved.h), target); });
    return y;
  }
  /// Makes `all` and `h` again; saved.x must be valid.
  void recompute(Context<E>& c, Saved& saved) const {
    saved.all = all_rows(c, saved.x);
    activate(c, saved);
  }

  /// dx [N / tp, dim] of dy [N / tp, dim], in scratch; accumulates the weight gradients.
  View backward(Context<E>& c, ConstView dy, const Saved& saved) {
    View dx = c.scratch({dy.rows(), dy.cols()});
    ArenaScope scope(c.scratch_arena());
    const ConstView dy_all = all_gradient_rows(c, dy);
    View dgate = c.operand(saved.gate.shape()), dup = c.operand(saved.gate.shape());
    w2_.input_gradient(c, dy_all, dgate);
    w2_.weight_gradient(c, dy_all, saved.h);
    ops::swiglu_backward<T>(c.queue, dgate, saved.gate, saved.up, dgate, dup);
    w1_.weight_gradient(c, dgate, saved.all);
    w3_.weight_gradient(c, dup, saved.all);
    sum_rows(c, dx, [&](View target) {
      w1_.input_gradient(c, dgate, target);
      w3_.input_gradient(c, dup, target, true);
    });
    return dx;
  }

 private:
  static index_t rows(Context<E>& c, ConstView x) {
    return x.rows() * (tensor_parallel(c) ? c.tensor_parallel.size() : 1);
  }
  void activate(Context<E>& c, Saved& saved) const {
    saved.h = c.recomputable(saved.gate.shape());
    ops::swiglu<T>(c.queue, saved.gate, saved.up, saved.h);
  }

  Linear<E> w1_, w3_, w2_;
};

}  // namespace ashlar::inline v0
