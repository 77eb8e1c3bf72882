// Dispatch on one rank: all experts are here, so tokens are only sorted. Read next:
// moe/token_dispatchers/all_to_all.hpp.
#pragma once

#include "ashlar/moe/token_dispatcher.hpp"
#include "ashlar/ops/permutation/permutation.hpp"

namespace ashlar::inline v0 {

template <class E>
class LocalDispatcher;

/// Tokens stay on their rank. What MoE<> takes where the recipe has no `ep`.
struct LocalDispatch {
  static constexpr bool spreads_experts = false;
  template <class E>
  using Module = LocalDispatcher<E>;
};

template <class E>
class LocalDispatcher {
 public:
  using T = typename E::Compute;
  using A = Acc<T>;
  using D = typename E::Device;
  template <class U>
  using View = TensorView<U, D>;

  struct Saved {
    RoutedTokens<E> routed;
    View<std::int32_t> position, source;  // [N k], kept: the row of each slot, the slot of each row
    View<std::int32_t> offsets;           // [E + 1], kept
    View<const T> out;                    // [N k, dim], the experts' rows: set by combine, kept by its caller
  };

  LocalDispatcher(Declarations<E>, index_t num_experts) : num_experts_(num_experts) {}

  ExpertRows<E> dispatch(Context<E>& c, View<const T> x, const RoutedTokens<E>& routed, Saved& saved) {
    sort(c, routed, saved);
    return redispatch(c, x, saved);
  }
  ExpertRows<E> redispatch(Context<E>& c, View<const T> x, Saved& saved) {
    View<T> rows = c.recomputable({saved.source.count(), x.cols()});
    sort_rows(c, x, saved, rows);
    return {rows, saved.offsets};
  }
  void dispatch_backward(Context<E>& c, View<const T> drows, View<const T> x, const Saved& saved, View<A> dweights,
                         View<T> dx) {
    if (!saved.routed.weigh_before)
      return ops::permute_backward<T>(c.queue, drows, saved.position, saved.routed.experts.cols(), dx, true);
    ops::unpermute<T>(c.queue, drows, saved.position, saved.routed.weights, dx, true);
    ArenaScope scope(c.scratch_arena());
    View<T> unread = c.scratch(drows.shape());
    ops::unpermute_backward<T>(c.queue, x, drows, saved.position, saved.routed.weights, unread, dweights);
  }

  void combine(Context<E>& c, View<const T> rows, Saved& saved, View<T> y) {
    saved.out = rows;
    if (saved.routed.weigh_before)
      ops::permute_backward<T>(c.queue, rows, saved.position, saved.routed.experts.cols(), y, true);
    else
      ops::unpermute<T>(c.queue, rows, saved.position, saved.routed.weights, y, true);
  }
  View<T> combine_backward(Context<E>& c, View<const T> dy, const Saved& saved, View<A> dweights) {
    View<T> drows = c.operand(saved.out.shape());
    split(c, dy, saved.out, saved, drows, dweights);
    return drows;
  }

  /// rows [N k, dim] of x [N, dim], sorted by expert, times the weights if they come first.
  void sort_rows(Context<E>& c, View<const T> x, const Saved& saved, View<T> rows) {
    if (saved.routed.weigh_before)
      ops::unpermute_backward<T>(c.queue, x, {}, saved.position, saved.routed.weights, rows, {});
    else
      ops::permute<T>(c.queue, x, saved.source, saved.routed.experts.cols(), rows, saved.position);
  }
  /// The gradient drows [N k, dim] of the experts' rows `out`, and of the weights if these came after.
  void split(Context<E>& c, View<const T> dy, View<const T> out, const Saved& saved, View<T> drows, View<A> dweights) {
    if (saved.routed.weigh_before)
      ops::permute<T>(c.queue, dy, saved.source, saved.routed.experts.cols(), drows, saved.position);
    else
      ops::unpermute_backward<T>(c.queue, dy, out, saved.position, saved.routed.weights, drows, dweights);
  }

  /// Decides which row each slot takes: expert by expert, tokens in order within an expert.
  void sort(Context<E>& c, const RoutedTokens<E>& routed, Saved& saved) {
    const index_t slots = routed.experts.count();
    saved.routed = routed;
    saved.position = c.template kept<std::int32_t>({slots});
    saved.source = c.template kept<std::int32_t>({slots});
    saved.offsets = c.template kept<std::int32_t>({num_experts_ + 1});
    ArenaScope scope(c.scratch_arena());
    auto workspace = c.template scratch<std::int32_t>({ops::sort_by_expert_workspace<D>(slots, num_experts_)});
    ops::sort_by_expert<D>(c.queue, routed.experts, saved.position, saved.source, saved.offsets, workspace);
  }

 private:
  index_t num_experts_;
};

}  // namespace ashlar::inline v0
