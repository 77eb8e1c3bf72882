// Weights: what the matrices of attention and feed-forward are made of, E::Weights. PlainWeights here, and the
// interface of all. Read next: nn/column_parallel.hpp, nn/low_rank.hpp.
#pragma once

#include <concepts>
#include <string_view>

#include "ashlar/nn/linear.hpp"

namespace ashlar::inline v0 {

/// One weight in the compute type, multiplied as it is.
struct PlainWeights {
  template <class E>
  using Input = typename E::ConstView;
  template <class E>
  static Input<E> prepare(Context<E>&, typename E::ConstView x) {
    return x;
  }
  template <class E>
  using Projection = Linear<E>;
  static constexpr bool needs_base = false;
  static bool trains(const ParameterInfo&) { return true; }
};

/// What a recipe names in Weights<W>. Its members, for an environment E:
/// - Input<E>, made by prepare(c, x) of rows x [N, in]: the left factor of the products of one input, prepared once for
///   several. A copy of views; what it needs is recomputable memory.
/// - Projection<E>, one weight [out, in], constructed like Linear: forward(c, input, y) writes y [N, out]; in backward
///   gradient(c, dy) prepares dy, an operand of weight gradients, once for input_gradient(c, gradient, dx, accumulate),
///   which writes or adds to dx [N, in], and weight_gradient(c, gradient, input);
/// - trains(info), whether a parameter of a model with such weights is trained;
/// - needs_base, whether a run must say where those are from that are not.
template <class W, class E>
concept WeightsOf = requires(Context<E>& c, Declarations<E> d, std::string_view name, index_t n, LinearKind kind,
                             const Initializer& init, typename E::ConstView x, typename E::View y,
                             typename W::template Projection<E>& p, const typename W::template Input<E>& input,
                             const typename W::template Projection<E>::Gradient& dy, const ParameterInfo& info) {
  {typename W::template Projection<E>(d, name, n, n, kind, init)};
  { W::template prepare<E>(c, x) } -> std::convertible_to<typename W::template Input<E>>;
  { p.out_dim() } -> std::convertible_to<index_t>;
  p.forward(c, input, y);
  { p.gradient(c, x) } -> std::convertible_to<typename W::template Projection<E>::Gradient>;
  p.input_gradient(c, dy, y, true);
  p.weight_gradient(c, dy, input);
  { W::trains(info) } -> std::convertible_to<bool>;
  { W::needs_base } -> std::convertible_to<bool>;
};

template <class E>
using Projection = typename E::Weights::template Projection<E>;

}  // namespace ashlar::inline v0
