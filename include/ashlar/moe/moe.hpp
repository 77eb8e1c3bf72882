// Mixture of experts, top to bottom: router -> dispatch -> experts -> combine, beside a shared expert (Dai et al. 2024,
// arXiv:2401.06066). Read next: moe/router.hpp, moe/token_dispatcher.hpp, moe/experts.hpp.
#pragma once

#include <optional>

#include "ashlar/moe/experts/grouped_gemm.hpp"
#include "ashlar/moe/routers/top_k.hpp"
#include "ashlar/moe/token_dispatchers/all_to_all.hpp"
#include "ashlar/moe/token_dispatchers/local.hpp"
#include "ashlar/nn/swiglu.hpp"

namespace ashlar::inline v0 {

/// AllToAll where the recipe has `ep`, LocalDispatch elsewhere.
struct AutoDispatch {};
template <class E, class Policy>
class MixtureOfExperts;

/// The feed-forward kind of a mixture of experts: a router, experts, and who moves the tokens.
template <class RouterPolicy = TopK<>, class ExpertsPolicy = GroupedGemm<>, class Dispatch = AutoDispatch>
struct MoE {
  using Router = RouterPolicy;
  using Experts = ExpertsPolicy;
  using Dispatcher = Dispatch;
  static constexpr std::string_view name = "moe";
  template <class E>
  using Module = MixtureOfExperts<E, MoE>;
};

namespace detail {

template <class Policy, class E>
concept HasModule = requires {
  typename Policy::template Module<E>;
};

template <class E, class Dispatch>
using DispatcherPolicy = std::conditional_t<std::is_same_v<Dispatch, AutoDispatch>,
                                            std::conditional_t<E::has(ep), AllToAll, LocalDispatch>, Dispatch>;

/// A policy that makes modules, and not those of experts.
template <class Policy, class E>
concept MayRoute = HasModule<Policy, E> && !ExpertsModule<typename Policy::template Module<E>, E>;

/// The requirements of a mixture of experts, a sentence each.
template <class Policy, class E>
constexpr bool check_moe() {
  using Router = typename Policy::Router;
  using Experts = typename Policy::Experts;
  using Dispatcher = DispatcherPolicy<E, typename Policy::Dispatcher>;
  static_assert(
      MayRoute<Router, E>,
      "MoE<Router, ...>: the first argument is a router policy, such as TopK<Softmax>, with a Module<E> template.");
  if constexpr (MayRoute<Router, E>)
    static_assert(RouterModule<typename Router::template Module<E>, E>,
                  "MoE<Router, ...>: the router's Module<E> lacks part of the interface: Saved, a constructor from "
                  "(Declarations<E>, index_t dim, const MoeSizes&), route, backward, take_counts and finish_step (see "
                  "ashlar/moe/router.hpp).");
  static_assert(
      HasModule<Experts, E>,
      "MoE<Router, Experts>: the second argument is an experts policy, such as GroupedGemm<>, with a Module<E> "
      "template.");
  if constexpr (HasModule<Experts, E>)
    static_assert(ExpertsModule<typename Experts::template Module<E>, E>,
                  "MoE<Router, Experts>: the experts' Module<E> lacks part of the interface: Saved, a constructor from "
                  "(Declarations<E>, index_t dim, const MoeSizes&, double), forward, recompute and backward (see "
                  "ashlar/moe/experts.hpp).");
  static_assert(
      HasModule<Dispatcher, E>,
      "MoE<Router, Experts, Dispatcher>: the third argument is a dispatcher policy: LocalDispatch, AllToAll, or one of "
      "your own with a Module<E> template.");
  if constexpr (HasModule<Dispatcher, E>) {
    static_assert(DispatcherModule<typename Dispatcher::template Module<E>, E>,
                  "MoE<..., Dispatcher>: the dispatcher's Module<E> lacks part of the interface: Saved, a constructor "
                  "from (Declarations<E>, index_t), dispatch, redispatch, combine and their backwards (see "
                  "ashlar/moe/token_dispatcher.hpp).");
    static_assert(!Dispatcher::spreads_experts || E::has(ep),
                  "MoE<..., AllToAll> sends tokens to other ranks' experts; add the strategy, as in "
                  "Parallel<fsdp * ep>.");
    static_assert(Dispatcher::spreads_experts || !E::has(ep),
                  "MoE<..., LocalDispatch> keeps tokens on their rank, but Parallel<... * ep> spreads the experts; "
                  "write AllToAll, or leave the dispatcher out.");
  }
  return true;
}

}  // namespace detail

template <class E, class Policy>
class MixtureOfExperts {
 public:
  using T = typename E::Compute;
  using A = typename E::Master;
  using D = typename E::Device;
  using View = typename E::View;
  using ConstView = typename E::ConstView;
  static_assert(detail::check_moe<Policy, E>());
  using Router = typename Policy::Router::template Module<E>;
  using Experts = typename Policy::Experts::template Module<E>;
  using Dispatcher = typename detail::DispatcherPolicy<E, typename Policy::Dispatcher>::template Module<E>;

  struct Saved {
    ConstView x;  // [N / tp, dim], the caller's
    RoutedTokens<E> routed;
    typename Router::Saved router;
    typename Dispatcher::Saved dispatch;
    typename Experts::Saved experts;
    typename SwiGluFeedForward<E>::Saved shared;
  };

  MixtureOfExperts(Declarations<E> d, index_t dim, const MoeSizes& sizes, double depth_std)
      : router_(d, dim, sizes),
        dispatcher_(d, sizes.num_experts),
        experts_(d, dim, sizes, depth_std),
        weigh_before_(sizes.score_before_experts) {
    if (sizes.num_experts % d.degree(Axis::ep) != 0)
      throw ConfigError(concat("--parallelism.expert_parallel_degree ", d.degree(Axis::ep), " must divide the ",
                               sizes.num_experts, " experts"));
    if (sizes.num_shared_experts > 0)
      shared_.emplace(d.in("shared_experts"), dim, sizes.hidden_dim * sizes.num_shared_experts, depth_std);
  }

  /// y [N / tp, dim] of x [N / tp, dim], in scratch. Every rank routes the tokens that it holds.
  View forward(Context<E>& c, ConstView x, Saved& saved) {
    saved.x = x;
    View y;
    if (shared_) {
      y = shared_->forward(c, x, saved.shared);
    } else {
      y = c.scratch({x.rows(), x.cols()});
      D::fill_zero(c.queue, y.data(), static_cast<std::size_t>(y.count()) * sizeof(T));
    }
    saved.routed = router_.route(c, x, saved.router);
    saved.routed.weigh_before = weigh_before_;
    const ExpertRows<E> rows = dispatcher_.dispatch(c, x, saved.routed, saved.dispatch);
    View out = experts_.forward(c, rows, saved.experts);
    dispatcher_.combine(c, out, saved.dispatch, y);
    c.observe("combined", y, {.rows_over = Axis::tp});
    return y;
  }
  /// Makes the dispatched rows and the activations again; saved.x must be valid.
  void recompute(Context<E>& c, Saved& saved) {
    if constexpr (requires { saved.router.x = saved.x; }) saved.router.x = saved.x;
    if (shared_) {
      saved.shared.x = saved.x;
      shared_->recompute(c, saved.shared);
    }
    experts_.recompute(c, dispatcher_.redispatch(c, saved.x, saved.dispatch), saved.experts);
  }

  /// dx [N / tp, dim] of dy, in scratch; accumulates the weight gradients.
  View backward(Context<E>& c, ConstView dy, const Saved& saved) {
    View dx;
    if (shared_) {
      dx = shared_->backward(c, dy, saved.shared);
    } else {
      dx = c.scratch({dy.rows(), dy.cols()});
      D::fill_zero(c.queue, dx.data(), static_cast<std::size_t>(dx.count()) * sizeof(T));
    }
    ArenaScope scope(c.scratch_arena());
    auto dweights = c.template scratch<A>(saved.routed.weights.shape());
    View dout = dispatcher_.combine_backward(c, dy, saved.dispatch, dweights);
    View drows = experts_.backward(c, dout, saved.experts);
    dispatcher_.dispatch_backward(c, drows, saved.x, saved.dispatch, dweights, dx);
    router_.backward(c, dweights, saved.router, dx);
    return dx;
  }

  /// How often each expert was chosen by this rank's tokens of the last step; only of routers that count.
  auto expert_counts() const requires requires(const Router& r) { r.last_counts(); }
  { return router_.last_counts(); }

  /// Once a step, see RouterModule: what is to be summed over ranks, and then what is done with the sums.
  auto take_counts(typename D::Queue& queue) { return router_.take_counts(queue); }
  void finish_step(typename D::Queue& queue) { router_.finish_step(queue); }

 private:
  Router router_;
  Dispatcher dispatcher_;
  Experts experts_;
  std::optional<SwiGluFeedForward<E>> shared_;
  bool weigh_before_;
};

}  // namespace ashlar::inline v0
