// What experts are: they turn rows that are sorted by expert into rows of results. tests/moe/expert_laws.hpp is what
// any must pass. Read next: moe/experts/grouped_gemm.hpp.
#pragma once

#include <concepts>

#include "ashlar/moe/token_dispatcher.hpp"

namespace ashlar::inline v0 {

/// A module of experts, made by a policy with a template Module<E>. Its members:
/// - a constructor from (declarations, token width, sizes, the standard deviation of what writes to the residual
///   stream); declares parameters with `expert` set, their first dimension cut over ep.
/// - forward: of rows [R, dim] the results [R, dim], kept: the dispatcher's backward reads them.
/// - recompute: makes what is recomputable again, of the rows dispatched anew.
/// - backward: of the results' gradient, an operand of weight gradients, the rows' gradient [R, dim] in scratch.
template <class X, class E>
concept ExpertsModule = requires(X x, Context<E>& c, const ExpertRows<E>& rows, typename E::ConstView dout,
                                 typename X::Saved& saved) {
  requires std::constructible_from < X, Declarations<E>, index_t,
  const MoeSizes&, double > ;
  { x.forward(c, rows, saved) } -> std::same_as<typename E::View>;
  x.recompute(c, rows, saved);
  { x.backward(c, dout, saved) } -> std::same_as<typename E::View>;
};

}  // namespace ashlar::inline v0
