// Token-choice top-k routing with softmax or sigmoid scores and a balancing bias. Read next: ops/router/router.hpp.
#pragma once

#include "ashlar/moe/router.hpp"
#include "ashlar/nn/linear.hpp"
#include "ashlar/ops/elementwise/elementwise.hpp"
#include "ashlar/ops/load_balance/load_balance.hpp"
#include "ashlar/ops/router/router.hpp"

namespace ashlar::inline v0 {

struct Softmax {};
struct Sigmoid {};
template <class E, class Score>
class TopKRouter;

/// Token-choice routing by the k largest scores. A router of the user's own is a struct with a `Module` template like
/// this one's (docs/adding/a_router.md).
template <class Score = Softmax>
struct TopK {
  static_assert(std::is_same_v<Score, Softmax> || std::is_same_v<Score, Sigmoid>,
                "TopK<...> takes Softmax or Sigmoid.");
  template <class E>
  using Module = TopKRouter<E, Score>;
};

template <class E, class Score>
class TopKRouter {
 public:
  using T = typename E::Compute;
  using A = Acc<T>;
  using D = typename E::Device;
  template <class U>
  using View = TensorView<U, D>;

  struct Saved {
    View<const T> x;             // [N, dim], the caller's
    View<A> probabilities;       // [N, E], kept
    View<std::int32_t> experts;  // [N, k], kept
    View<A> weights;             // [N, k], kept
  };

  TopKRouter(Declarations<E> d, index_t dim, const MoeSizes& sizes)
      : options_{std::is_same_v<Score, Softmax> ? ops::ScoreFunction::softmax : ops::ScoreFunction::sigmoid,
                 sizes.top_k, sizes.route_norm, sizes.route_scale},
        coefficient_(sizes.load_balance_coeff),
        gate_(d, "router.gate", sizes.num_experts, dim, LinearKind::replicated, Initializer::truncated_normal(0.02, 2)),
        counts_(d.memory(), {sizes.num_experts}) {
    counts_.zero(d.queue());
    if (coefficient_ > 0) {
      bias_ = Tensor<A, D>(d.memory(), {sizes.num_experts});
      bias_.zero(d.queue());
      d.add_buffer("expert_bias", bias_.view());
    }
  }

  RoutedTokens<E> route(Context<E>& c, View<const T> x, Saved& saved) {
    const index_t n = x.rows(), experts = counts_.count();
    saved.x = x;
    saved.probabilities = c.template kept<A>({n, experts});
    saved.experts = c.template kept<std::int32_t>({n, options_.top_k});
    saved.weights = c.template kept<A>({n, options_.top_k});
    ArenaScope scope(c.scratch_arena());
    auto logits = c.template scratch<A>({n, experts});
    gate_.forward(c, x, logits);
    // What is recomputed, or not trained on, must not count twice: the counts steer the bias.
    View<std::int32_t> counts = counts_.view();
    if (!c.count_routing || c.recomputing) {
      counts = c.template scratch<std::int32_t>({experts});
      D::fill_zero(c.queue, counts.data(), static_cast<std::size_t>(experts) * sizeof(std::int32_t));
    }
    ops::top_k_router<A>(c.queue, options_, logits, bias_.view(), saved.probabilities, saved.experts, saved.weights,
                         counts);
    c.observe("router.probabilities", saved.probabilities, {.rows_over = Axis::tp});
    return {saved.experts, saved.weights};
  }

  void backward(Context<E>& c, View<const A> dweights, const Saved& saved, View<T> dx) {
    auto dlogits = c.template operand<A>(saved.probabilities.shape());
    ops::top_k_router_backward<A>(c.queue, options_, saved.probabilities, saved.experts, dweights, dlogits);
    View<const T> dgate;
    if constexpr (std::is_same_v<T, A>) {
      dgate = dlogits;
    } else if (c.computes_in_master()) {
      dgate = {nullptr, dlogits.shape()};
    } else {
      View<T> rounded = c.operand(dlogits.shape());
      ops::cast<A, T>(c.queue, View<const A>(dlogits), rounded);
      dgate = rounded;
    }
    gate_.input_gradient(c, dgate, dx, true);
    gate_.weight_gradient(c, dgate, saved.x);
  }

  void finish_step(typename D::Queue& queue, Communicator group) {
    if (coefficient_ <= 0) return counts_.zero(queue);
    group.all_reduce(queue, counts_.view()).wait(queue);
    ops::update_expert_bias<A>(queue, counts_.view(), coefficient_, bias_.view());
  }

 private:
  ops::RouterOptions options_;
  double coefficient_;
  Linear<E> gate_;
  Tensor<std::int32_t, D> counts_;  // since the last step
  Tensor<A, D> bias_;
};

}  // namespace ashlar::inline v0
