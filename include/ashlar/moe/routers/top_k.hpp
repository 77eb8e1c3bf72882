// Token-choice top-k routing with softmax or sigmoid scores and a balancing bias. Read next: ops/router/router.hpp.
#pragma once

#include "ashlar/moe/router.hpp"
#include "ashlar/nn/linear.hpp"
#include "ashlar/ops/balance_loss/balance_loss.hpp"
#include "ashlar/ops/elementwise/elementwise.hpp"
#include "ashlar/ops/load_balance/load_balance.hpp"
#include "ashlar/ops/router/router.hpp"

namespace ashlar::inline v0 {

struct Softmax {};
struct Sigmoid {};
struct ByScore {};  // experts with the largest scores
struct InTurn {};   // one expert after another, whatever the scores: an even load, for benchmarks
template <class E, class Score, class Selection = ByScore>
class TopKRouter;

/// Token-choice routing by the k largest scores. A router of the user's own is a struct with a `Module` template like
/// this one's (docs/adding/a_router.md).
template <class Score = Softmax, class Selection = ByScore>
struct TopK {
  static_assert(std::is_same_v<Selection, ByScore> || std::is_same_v<Selection, InTurn>,
                "TopK<Score, ...> takes ByScore or InTurn.");
  static_assert(std::is_same_v<Score, Softmax> || std::is_same_v<Score, Sigmoid>,
                "TopK<...> takes Softmax or Sigmoid.");
  template <class E>
  using Module = TopKRouter<E, Score, Selection>;
};

template <class E, class Score, class Selection>
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
    View<std::int32_t> counts;   // [groups of the balance loss, E], kept
  };

  TopKRouter(Declarations<E> d, index_t dim, const MoeSizes& sizes)
      : options_{std::is_same_v<Score, Softmax> ? ops::ScoreFunction::softmax : ops::ScoreFunction::sigmoid,
                 sizes.top_k,
                 sizes.route_norm,
                 sizes.route_scale,
                 sizes.num_groups,
                 sizes.group_limit,
                 sizes.group_best,
                 std::is_same_v<Selection, InTurn>},
        balance_loss_(sizes.balance_loss_coeff),
        balance_sequences_(sizes.balance_sequences),
        coefficient_(sizes.load_balance_coeff),
        gate_(d, "router.gate", sizes.num_experts, dim, LinearKind::replicated, Initializer::truncated_normal(0.02, 2)),
        counts_(d.memory(), {sizes.num_experts}),
        last_counts_(d.memory(), {sizes.num_experts}) {
    counts_.zero(d.queue());
    last_counts_.zero(d.queue());
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
    if (balance_loss_ > 0 && c.saving()) count_groups(c, saved);
    return {saved.experts, saved.weights};
  }

  void backward(Context<E>& c, View<const A> dweights, const Saved& saved, View<T> dx) {
    auto dlogits = c.template operand<A>(saved.probabilities.shape());
    ops::top_k_router_backward<A>(c.queue, options_, saved.probabilities, saved.experts, dweights, dlogits);
    if (saved.counts) {
      // The loss of a group of T rows is E / (k T) times the sum over experts of its count and its mean probability; it
      // weighs as T of the step's tokens.
      const double factor = balance_loss_ * c.loss_scale * static_cast<double>(saved.counts.cols()) /
                            static_cast<double>(options_.top_k * group_rows(c));
      ops::balance_loss_backward<A>(
          c.queue, saved.probabilities, saved.counts,
          {options_.score == ops::ScoreFunction::softmax, factor, first_row(c, saved.experts), group_rows(c)}, dlogits);
    }
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

  View<std::int32_t> take_counts(typename D::Queue& queue) {
    D::copy(queue, last_counts_.data(), counts_.data(), counts_.bytes());
    if (coefficient_ > 0) return counts_.view();
    counts_.zero(queue);
    return {};
  }
  void finish_step(typename D::Queue& queue) {
    if (coefficient_ > 0) ops::update_expert_bias<A>(queue, counts_.view(), coefficient_, bias_.view());
  }

  /// [E]: what this rank counted in the last step.
  View<const std::int32_t> last_counts() const { return last_counts_.view(); }

 private:
  // ---- the balance loss ----

  index_t group_rows(const Context<E>& c) const {
    return balance_sequences_ ? c.sequences().len : c.sequences().rows();
  }
  static index_t first_row(const Context<E>& c, View<const std::int32_t> experts) {
    return E::has(tp) ? c.tensor_parallel.rank() * experts.rows() : 0;
  }
  // A group's rows may be spread over tp.
  void count_groups(Context<E>& c, Saved& saved) const {
    saved.counts = c.template kept<std::int32_t>({c.sequences().rows() / group_rows(c), counts_.count()});
    D::fill_zero(c.queue, saved.counts.data(), static_cast<std::size_t>(saved.counts.count()) * sizeof(std::int32_t));
    ops::count_choices<D>(c.queue, saved.experts, first_row(c, saved.experts), group_rows(c), saved.counts);
    if constexpr (E::has(tp)) c.tensor_parallel.all_reduce(c.queue, saved.counts).wait(c.queue);
  }

  ops::RouterOptions options_;
  double balance_loss_;
  bool balance_sequences_;
  double coefficient_;
  Linear<E> gate_;
  Tensor<std::int32_t, D> counts_, last_counts_;  // since the last step; of it
  Tensor<A, D> bias_;
};

}  // namespace ashlar::inline v0
