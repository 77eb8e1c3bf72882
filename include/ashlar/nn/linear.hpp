// Linear: y = x W^T, one weight and its products with rows that this rank has. What exchanges rows around it is in
// nn/column_parallel.hpp and nn/row_parallel.hpp: read those next.
#pragma once

#include "ashlar/nn/context.hpp"
#include "ashlar/ops/matmul/matmul.hpp"
#include "ashlar/tensor/parameter.hpp"

namespace ashlar::inline v0 {

/// How a weight [out, in] is cut over tp (Shoeybi et al. 2019, arXiv:1909.08053): column_parallel cuts `out`,
/// row_parallel cuts `in` and leaves partial sums to its caller, replicated cuts nothing.
enum class LinearKind { replicated, column_parallel, row_parallel };

template <class E>
class Linear {
 public:
  using T = typename E::Compute;
  using D = typename E::Device;
  template <class U>
  using View = TensorView<U, D>;

  /// `out` and `in` are the logical sizes; the weight is called `name`.weight.
  Linear(Declarations<E> d, std::string_view name, index_t out, index_t in, LinearKind kind, const Initializer& init) {
    std::vector<Shard> shards;
    if (kind != LinearKind::replicated) shards.push_back({Axis::tp, kind == LinearKind::column_parallel ? 0 : 1});
    d.add(weight_, {concat(name, ".weight"), {out, in}, init, std::move(shards), false});
  }

  /// Of this rank's part.
  index_t out_dim() const { return weight_.value.dim(0); }

  /// y [N, out] of x [N, in]; U is the compute type or the type that its sums are kept in.
  template <class U>
  void forward(Context<E>& c, View<const T> x, View<U> y) const {
    ops::matmul<T>(c.queue, x, ops::Transpose::no, weight_.value, ops::Transpose::yes, y);
  }

  /// Of dy [N, out]: what the two products of backward read.
  using Gradient = View<const T>;
  Gradient gradient(Context<E>&, View<const T> dy) const { return dy; }
  /// dx [N, in] (+)= dy W.
  void input_gradient(Context<E>& c, View<const T> dy, View<T> dx, bool accumulate = false) const {
    ops::matmul<T>(c.queue, dy, ops::Transpose::no, weight_.value, ops::Transpose::no, dx, accumulate ? 1 : 0);
  }
  /// dW += dy^T x, now or deferred: dy and x must stay as they are until then (Context::operand, Context::stable).
  /// Nothing where the weight is frozen.
  void weight_gradient(Context<E>& c, View<const T> dy, View<const T> x) {
    if (!weight_.trainable) return;
    c.weight_gradient([this, &queue = c.queue, dy, x] {
      ops::matmul<T>(queue, dy, ops::Transpose::yes, x, ops::Transpose::no, weight_.gradient, 1);
    });
  }

 private:
  Parameter<E> weight_;
};

}  // namespace ashlar::inline v0
