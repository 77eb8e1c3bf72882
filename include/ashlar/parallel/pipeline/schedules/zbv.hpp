// ZBV, zero bubble in a V: two stages a rank, and weight gradients wait until nothing better is at hand. The idea is
// from Qi et al., "Pipeline parallelism with controllable memory", 2024; the order is found by a list scheduler here.
// Found by name in schedule.hpp. Read next: timeline.hpp.
#pragma once

#include <limits>

#include "ashlar/parallel/pipeline/action.hpp"

namespace ashlar::inline v0::pipeline {

namespace detail {

/// Carries out a ZBV step in unit time (each of F, I and W costs 1, messages 0), each rank doing the first of these
/// that it can: F of its later stage, I of its later stage, F of its earlier stage, I of its earlier stage, W.
/// Each stage takes micro-batches in order.
///
/// It can't get stuck. A rank holds at most 2 * ranks stage activations, and the last place is closed to its earlier
/// stage. Take the first micro-batch that is not through: no older one holds that place, so its F is never refused; its
/// I waits only for F and I of its own; and W, which frees places, waits for nothing else.
class ZbvScheduler {
 public:
  ZbvScheduler(int ranks, int micro_batches)
      : schedule_(empty_schedule(ranks, v_layout(ranks), micro_batches)),
        end_of_forward_(table()),
        end_of_input_(table()),
        progress_(static_cast<std::size_t>(schedule_.stages)),
        held_(static_cast<std::size_t>(ranks), 0) {}

  Schedule run() {
    const int actions = 3 * schedule_.stages * schedule_.micro_batches;
    for (int done = 0; done < actions; ++time_)
      for (int rank = 0; rank < schedule_.ranks; ++rank) done += step(rank);
    return std::move(schedule_);
  }

 private:
  static constexpr int never = std::numeric_limits<int>::max();
  struct Progress {
    int forward = 0, input = 0, weight = 0;  // the micro-batch that is next
  };

  std::vector<int> table() const {
    return std::vector<int>(static_cast<std::size_t>(schedule_.stages * schedule_.micro_batches), never);
  }
  int& at(std::vector<int>& table, int stage, int m) const {
    return table[static_cast<std::size_t>(stage * schedule_.micro_batches + m)];
  }
  Progress& progress(int stage) { return progress_[static_cast<std::size_t>(stage)]; }
  int& held(int rank) { return held_[static_cast<std::size_t>(rank)]; }

  /// What the rank does in this unit of time. Returns the number of actions: 1, or 0 for a bubble.
  int step(int rank) {
    const int earlier = rank, later = 2 * schedule_.ranks - 1 - rank;
    return forward(rank, later, 0) || input(rank, later) || forward(rank, earlier, 1) || input(rank, earlier) ||
           weight(rank, earlier) || weight(rank, later);
  }
  bool forward(int rank, int stage, int places_kept) {
    int& m = progress(stage).forward;
    if (m == schedule_.micro_batches || held(rank) + places_kept >= 2 * schedule_.ranks) return false;
    if (stage > 0 && at(end_of_forward_, stage - 1, m) > time_) return false;
    at(end_of_forward_, stage, m) = time_ + 1;
    ++held(rank);
    return emit(rank, Kind::forward, stage, m);
  }
  bool input(int rank, int stage) {
    int& m = progress(stage).input;
    if (m == schedule_.micro_batches || at(end_of_forward_, stage, m) > time_) return false;
    if (!schedule_.last(stage) && at(end_of_input_, stage + 1, m) > time_) return false;
    at(end_of_input_, stage, m) = time_ + 1;
    return emit(rank, Kind::backward_input, stage, m);
  }
  bool weight(int rank, int stage) {
    int& m = progress(stage).weight;
    if (m == progress(stage).input) return false;
    --held(rank);
    return emit(rank, Kind::backward_weight, stage, m);
  }
  bool emit(int rank, Kind kind, int stage, int& m) {
    schedule_.actions[static_cast<std::size_t>(rank)].push_back({kind, stage, m++});
    return true;
  }

  Schedule schedule_;
  std::vector<int> end_of_forward_, end_of_input_;  // [stage, micro-batch]
  std::vector<Progress> progress_;                  // [stage]
  std::vector<int> held_;                           // [rank]: stage activations between F and W
  int time_ = 0;
};

}  // namespace detail

/// Two stages a rank: p and 2 * ranks - 1 - p; the loss is on rank 0. A rank holds at most 2 * ranks stage activations,
/// as much as 1F1B on its first rank. With m micro-batches on p ranks no order can take less than 6 m + p - 1 units of
/// time (6 m of work, and the last rank waits p - 1 for its first input). For m >= 2 p this one takes at most p / 4
/// more (none up to p = 4): the bubble is near (p - 1) / (6 m + p - 1), against (p - 1) / (m + p - 1) for 1F1B.
inline Schedule zbv_zero_bubble(int ranks, int micro_batches) {
  return detail::ZbvScheduler(ranks, micro_batches).run();
}

}  // namespace ashlar::inline v0::pipeline
