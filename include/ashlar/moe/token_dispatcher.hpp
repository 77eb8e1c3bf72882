// What a token dispatcher is: it brings each token's row to its experts and the results back, sorted by expert in
// between. tests/moe/dispatcher_laws.hpp is what any must pass. Read next: moe/token_dispatchers/local.hpp.
#pragma once

#include <concepts>

#include "ashlar/moe/router.hpp"

namespace ashlar::inline v0 {

/// Rows of tokens, group by group, on the rank that holds the experts.
template <class E>
struct ExpertRows {
  TensorView<const typename E::Compute, typename E::Device> rows;  // [R, dim]
  TensorView<const std::int32_t, typename E::Device> offsets;      // [local experts + 1]
};

/// A dispatcher module, made of (declarations, number of experts in all) by a policy with a template Module<E> and a
/// constant spreads_experts: whether experts are on other ranks too, as Parallel<... * ep> has them. Its members:
/// - dispatch: the rows of x [N, dim] go to the experts, times the weights where routed.weigh_before. The rows are
///   recomputable; the plan of who goes where is kept in Saved.
/// - redispatch: makes the rows again by the plan.
/// - combine: y [N, dim] += each token's sum of its experts' rows, times the weights where not routed.weigh_before.
/// - combine_backward: the gradient of the experts' rows (returned, R rows), and, if they were weighed, of the weights.
/// - dispatch_backward: dx [N, dim] += the gradient of x, and, if it was weighed, that of the weights.
/// One of the two writes dweights [N, k].
template <class T, class E>
concept DispatcherModule = requires(T t, Context<E>& c, typename E::ConstView x, const RoutedTokens<E>& routed,
                                    typename T::Saved& saved, typename E::View y,
                                    typename E::template ViewOf<typename E::Master> dweights) {
  requires std::constructible_from<T, Declarations<E>, index_t>;
  { t.dispatch(c, x, routed, saved) } -> std::same_as<ExpertRows<E>>;
  { t.redispatch(c, x, saved) } -> std::same_as<ExpertRows<E>>;
  t.combine(c, x, saved, y);
  { t.combine_backward(c, x, saved, dweights) } -> std::same_as<typename E::View>;
  t.dispatch_backward(c, x, x, saved, dweights, y);
};

}  // namespace ashlar::inline v0
