// The timeline of a schedule: when each action runs where every action takes a given time and messages take none. Read
// next: check.hpp.
#pragma once

#include <algorithm>

#include "ashlar/parallel/pipeline/action.hpp"

namespace ashlar::inline v0::pipeline {

/// What the actions take; a backward takes both of its halves.
struct UnitCosts {
  int forward = 1;
  int backward_input = 1;
  int backward_weight = 1;

  int of(Kind kind) const {
    switch (kind) {
      case Kind::forward: return forward;
      case Kind::backward: return backward_input + backward_weight;
      case Kind::backward_input: return backward_input;
      case Kind::backward_weight: return backward_weight;
      default: return 0;
    }
  }
};

struct Timeline {
  std::vector<std::vector<int>> begin;  // [rank][action]; -1 where the action never runs: a deadlock
  std::vector<int> most_held;           // [rank]: stage activations held at once, from F to the end of B or W
  int makespan = 0;                     // until the last rank is done
  double bubble = 0;                    // idle time / (ranks * makespan)
};

namespace detail {

class Simulation {
 public:
  Simulation(const Schedule& schedule, UnitCosts costs)
      : schedule_(schedule),
        costs_(costs),
        end_(static_cast<std::size_t>(8 * schedule.stages * schedule.micro_batches), -1) {
    for (const std::vector<Action>& actions : schedule.actions)
      for (const Action& a : actions) lowered_ |= !is_compute(a.kind);
  }

  Timeline run() {
    Timeline out;
    std::vector<int> clock(schedule_.actions.size(), 0);
    for (const auto& actions : schedule_.actions) out.begin.emplace_back(actions.size(), -1);
    std::vector<std::size_t> next(schedule_.actions.size(), 0);
    for (bool moved = true; moved;) {
      moved = false;
      for (std::size_t r = 0; r < next.size(); ++r)
        for (; next[r] < schedule_.actions[r].size(); ++next[r]) {
          const Action& a = schedule_.actions[r][next[r]];
          const int ready = ready_at(a);
          if (ready < 0) break;
          out.begin[r][next[r]] = std::max(clock[r], ready);
          clock[r] = end(a.kind, a.stage, a.micro_batch) = out.begin[r][next[r]] + costs_.of(a.kind);
          moved = true;
        }
    }
    int busy = 0;
    for (std::size_t r = 0; r < next.size(); ++r) {
      out.makespan = std::max(out.makespan, clock[r]);
      int held = 0, most = 0;
      for (const Action& a : schedule_.actions[r]) {
        busy += costs_.of(a.kind);
        held += (a.kind == Kind::forward) - ends_backward(a.kind);
        most = std::max(most, held + ends_backward(a.kind));
      }
      out.most_held.push_back(most);
    }
    if (out.makespan > 0) out.bubble = 1 - static_cast<double>(busy) / (out.makespan * schedule_.ranks);
    return out;
  }

 private:
  int& end(Kind kind, int stage, int m) {
    return end_[static_cast<std::size_t>((static_cast<int>(kind) * schedule_.stages + stage) * schedule_.micro_batches +
                                         m)];
  }
  int end_of_gradient(int stage, int m) {
    return std::max(end(Kind::backward, stage, m), end(Kind::backward_input, stage, m));
  }
  /// When all that the action needs is there; -1 while it is not.
  int ready_at(const Action& a) {
    const int s = a.stage, m = a.micro_batch;
    switch (a.kind) {
      case Kind::forward:
        if (s == 0) return 0;
        return lowered_ && schedule_.crosses_before(s) ? end(Kind::receive_forward, s, m)
                                                       : end(Kind::forward, s - 1, m);
      case Kind::backward:
      case Kind::backward_input: {
        const int own = end(Kind::forward, s, m);
        if (schedule_.last(s) || own < 0) return own;
        const int gradient =
            lowered_ && schedule_.crosses_after(s) ? end(Kind::receive_backward, s, m) : end_of_gradient(s + 1, m);
        return gradient < 0 ? -1 : std::max(own, gradient);
      }
      case Kind::backward_weight: return end(Kind::backward_input, s, m);
      case Kind::send_forward: return end(Kind::forward, s, m);
      case Kind::send_backward: return end_of_gradient(s, m);
      case Kind::receive_forward: return end(Kind::send_forward, s - 1, m);
      case Kind::receive_backward: return end(Kind::send_backward, s + 1, m);
    }
    return -1;
  }

  const Schedule& schedule_;
  UnitCosts costs_;
  bool lowered_ = false;
  std::vector<int> end_;  // [kind, stage, micro-batch]; -1 until it has run
};

}  // namespace detail

/// Runs the schedule on paper, lowered or not: each rank does its actions in order, waits for what an action needs, and
/// does not wait for its sends. Every action must name a stage and a micro-batch that exist, and a receive a stage that
/// something crosses to (find_problem looks first).
inline Timeline simulate(const Schedule& schedule, UnitCosts costs = {}) {
  return detail::Simulation(schedule, costs).run();
}

}  // namespace ashlar::inline v0::pipeline
