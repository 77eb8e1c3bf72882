// Expert parallel: each rank of ep holds its equal share of the experts; rows travel there and back (Lepikhin et al.
// 2020, arXiv:2006.16668). Built on LocalDispatcher: sorted by expert, rows for one peer are one contiguous piece. Read
// next: ops/permutation/permutation.hpp.
#pragma once

#include <numeric>
#include <vector>

#include "ashlar/moe/token_dispatchers/local.hpp"

namespace ashlar::inline v0 {

template <class E>
class AllToAllDispatcher;

/// Rows travel to the experts' ranks. What MoE<> takes where the recipe has `ep`.
struct AllToAll {
  static constexpr bool spreads_experts = true;
  template <class E>
  using Module = AllToAllDispatcher<E>;
};

template <class E>
class AllToAllDispatcher {
 public:
  using T = typename E::Compute;
  using A = Acc<T>;
  using D = typename E::Device;
  template <class U>
  using View = TensorView<U, D>;

  struct Saved {
    typename LocalDispatcher<E>::Saved local;
    std::vector<index_t> sent, received;  // rows for and from each peer
    View<std::int32_t> position, source;  // [rows received], kept: between arrival order and expert order
    View<std::int32_t> offsets;           // [local experts + 1], kept
    View<T> returned;                     // [N k, dim], kept: the experts' rows, back here
  };

  AllToAllDispatcher(Declarations<E> d, index_t num_experts)
      : local_(d, num_experts), num_experts_(num_experts), ranks_(d.degree(Axis::ep)) {}

  ExpertRows<E> dispatch(Context<E>& c, View<const T> x, const RoutedTokens<E>& routed, Saved& saved) {
    if (ranks_ == 1) return local_.dispatch(c, x, routed, saved.local);
    local_.sort(c, routed, saved.local);
    exchange_counts(c, routed.experts.count(), saved);
    return redispatch(c, x, saved);
  }
  ExpertRows<E> redispatch(Context<E>& c, View<const T> x, Saved& saved) {
    if (ranks_ == 1) return local_.redispatch(c, x, saved.local);
    View<T> rows = c.recomputable({saved.source.count(), x.cols()});
    ArenaScope scope(c.scratch_arena());
    View<T> send = c.scratch({saved.local.source.count(), x.cols()});
    View<T> arrived = c.scratch(rows.shape());
    local_.sort_rows(c, x, saved.local, send);
    exchange(c, send, saved.sent, arrived, saved.received);
    ops::permute<T>(c.queue, arrived, saved.source, 1, rows);
    return {rows, saved.offsets};
  }
  void dispatch_backward(Context<E>& c, View<const T> drows, View<const T> x, const Saved& saved, View<A> dweights,
                         View<T> dx) {
    if (ranks_ == 1) return local_.dispatch_backward(c, drows, x, saved.local, dweights, dx);
    ArenaScope scope(c.scratch_arena());
    View<T> back = c.scratch({saved.local.source.count(), dx.cols()});
    send_back(c, drows, saved, back);
    local_.dispatch_backward(c, back, x, saved.local, dweights, dx);
  }

  void combine(Context<E>& c, View<const T> rows, Saved& saved, View<T> y) {
    if (ranks_ == 1) return local_.combine(c, rows, saved.local, y);
    saved.returned = c.kept({saved.local.source.count(), y.cols()});
    send_back(c, rows, saved, saved.returned);
    local_.combine(c, saved.returned, saved.local, y);
  }
  View<T> combine_backward(Context<E>& c, View<const T> dy, const Saved& saved, View<A> dweights) {
    if (ranks_ == 1) return local_.combine_backward(c, dy, saved.local, dweights);
    View<T> drows = c.operand({saved.source.count(), dy.cols()});
    ArenaScope scope(c.scratch_arena());
    View<T> send = c.scratch(saved.returned.shape());
    View<T> arrived = c.scratch(drows.shape());
    local_.split(c, dy, saved.returned, saved.local, send, dweights);
    exchange(c, send, saved.sent, arrived, saved.received);
    ops::permute<T>(c.queue, arrived, saved.source, 1, drows);
    return drows;
  }

 private:
  // Rows in expert order, on the experts' ranks -> rows sorted by expert, on the tokens' ranks.
  void send_back(Context<E>& c, View<const T> rows, const Saved& saved, View<T> back) {
    ArenaScope scope(c.scratch_arena());
    View<T> arrival_order = c.scratch({rows.rows(), rows.cols()});
    ops::permute<T>(c.queue, rows, saved.position, 1, arrival_order);
    exchange(c, arrival_order, saved.received, back, saved.sent);
  }

  void exchange(Context<E>& c, View<const T> send, const std::vector<index_t>& sent, View<T> receive,
                const std::vector<index_t>& received) {
    c.expert_parallel.all_to_all(c.queue, send, receive, RowCounts<D>(sent, received)).wait(c.queue);
  }

  // Who sends how many rows to which expert: the only place where a size comes back to the host.
  void exchange_counts(Context<E>& c, index_t slots, Saved& saved) {
    const index_t local = num_experts_ / ranks_;
    const auto ranks = static_cast<std::size_t>(ranks_), experts = static_cast<std::size_t>(num_experts_);
    saved.sent.assign(ranks, 0);
    saved.received.assign(ranks, 0);
    auto counts = c.template kept<std::int32_t>({ranks_, local});
    const std::vector<index_t> row(ranks, 1);
    const RowCounts<D> one_each(row, row);
    if constexpr (!D::has_storage) {
      saved.sent.assign(ranks, slots / ranks_);
      saved.received.assign(ranks, c.assumed_routing == Routing::worst ? slots : slots / ranks_);
      c.expert_parallel.all_to_all(c.queue, counts, counts, one_each).wait(c.queue);
    } else {
      std::vector<std::int32_t> offsets(experts + 1), mine(experts), theirs(experts);
      D::download(c.queue, offsets.data(), saved.local.offsets.data(), offsets.size() * sizeof(std::int32_t));
      for (std::size_t e = 0; e < experts; ++e) mine[e] = offsets[e + 1] - offsets[e];
      ArenaScope scope(c.scratch_arena());
      auto send = c.template scratch<std::int32_t>(counts.shape());
      D::upload(c.queue, send.data(), mine.data(), experts * sizeof(std::int32_t));
      c.expert_parallel.all_to_all(c.queue, send, counts, one_each).wait(c.queue);
      D::download(c.queue, theirs.data(), counts.data(), experts * sizeof(std::int32_t));
      for (std::size_t e = 0; e < experts; ++e) {
        saved.sent[e / static_cast<std::size_t>(local)] += mine[e];
        saved.received[e / static_cast<std::size_t>(local)] += theirs[e];
      }
    }
    const index_t rows = std::accumulate(saved.received.begin(), saved.received.end(), index_t{0});
    saved.position = c.template kept<std::int32_t>({rows});
    saved.source = c.template kept<std::int32_t>({rows});
    saved.offsets = c.template kept<std::int32_t>({local + 1});
    ops::sort_received<D>(c.queue, counts, saved.position, saved.source, saved.offsets);
  }

  LocalDispatcher<E> local_;
  index_t num_experts_;
  int ranks_;
};

}  // namespace ashlar::inline v0
