// What a router is: it sends each token to top_k experts, with weights. tests/moe/router_laws.hpp is what any must
// pass. Read next: moe/routers/top_k.hpp.
#pragma once

#include <concepts>
#include <cstdint>

#include "ashlar/moe/sizes.hpp"
#include "ashlar/nn/context.hpp"
#include "ashlar/tensor/parameter.hpp"

namespace ashlar::inline v0 {

/// Where the N tokens of a rank go. Expert ids are in [0, num_experts), distinct within a token.
template <class E>
struct RoutedTokens {
  TensorView<const std::int32_t, typename E::Device> experts;              // [N, k]
  TensorView<const Acc<typename E::Compute>, typename E::Device> weights;  // [N, k]
  bool weigh_before = false;  // weights multiply the experts' input, not their output; MixtureOfExperts sets it
};

/// A router module: built from the declarations, the token width and the sizes; `route` keeps what `backward` needs in
/// Saved, and `backward` adds to dx [N, dim] the gradient through the weights. x itself may be dropped and made again
/// in between: a Saved with a member `x` has it set to the new one. What route counts, it counts where
/// Context::count_routing says so. Once a step, after all micro-batches, `take_counts` ends the counting and returns
/// what is to be summed over the ranks that tokens were spread over (empty: nothing), all routers of a stage at once;
/// then `finish_step` finds the sums there.
template <class R, class E>
concept RouterModule = requires(R r, Context<E>& c, typename E::ConstView x, typename R::Saved& saved,
                                typename E::template ViewOf<const typename E::Master> dweights, typename E::View dx,
                                typename E::Device::Queue& queue) {
  requires std::constructible_from < R, Declarations<E>, index_t,
  const MoeSizes& > ;
  { r.route(c, x, saved) } -> std::same_as<RoutedTokens<E>>;
  r.backward(c, dweights, saved, dx);
  { r.take_counts(queue) } -> std::same_as<typename E::template ViewOf<std::int32_t>>;
  r.finish_step(queue);
};

}  // namespace ashlar::inline v0
