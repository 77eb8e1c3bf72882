// Weights: what the matrices of attention and feed-forward are made of, E::Weights. PlainWeights here, and the
// interface of all. Read next: nn/column_parallel.hpp, nn/low_rank.hpp.
#pragma once

#include <concepts>

#include "ashlar/nn/linear.hpp"

namespace ashlar::inline v0 {

/// One weight in the compute type, multiplied as it is.
template <class E>
class PlainProjection : public Linear<E> {
 public:
  using Gradient = typename E::ConstView;
  using Linear<E>::Linear;
  Gradient gradient(Context<E>&, typename E::ConstView dy) const { return dy; }
};

struct PlainWeights {
  template <class E>
  using Input = typename E::ConstView;
  template <class E>
  static Input<E> prepare(Context<E>&, typename E::ConstView x) {
    return x;
  }
  template <class E>
  using Projection = PlainProjection<E>;
};

/// W, a struct of the environment E:
/// - Input<E>, made by prepare(c, x) of rows x [N, in]: the left factor of the products of one input, prepared once for
///   several. A copy of views; what it needs is recomputable memory.
/// - Projection<E>, one weight [out, in], constructed like Linear: forward(c, input, y) writes y [N, out]; in backward
///   gradient(c, dy) prepares dy, an operand of weight gradients, once for input_gradient(c, gradient, dx, accumulate),
///   which writes or adds to dx [N, in], and weight_gradient(c, gradient, input).
template <class W, class E>
concept Weights = requires(Context<E>& c, typename E::ConstView x, typename E::View y,
                           typename W::template Projection<E>& p, const typename W::template Input<E>& input,
                           const typename W::template Projection<E>::Gradient& dy) {
  requires std::constructible_from < typename W::template Projection<E>, Declarations<E>, std::string_view, index_t,
      index_t, LinearKind,
  const Initializer& > ;
  { W::template prepare<E>(c, x) } -> std::convertible_to<typename W::template Input<E>>;
  { p.out_dim() } -> std::convertible_to<index_t>;
  p.forward(c, input, y);
  { p.gradient(c, x) } -> std::convertible_to<typename W::template Projection<E>::Gradient>;
  p.input_gradient(c, dy, y, true);
  p.weight_gradient(c, dy, input);
};

template <class E>
using Projection = typename E::Weights::template Projection<E>;

}  // namespace ashlar::inline v0
