// GPipe: all forwards, then all backwards (Huang et al., "GPipe", NeurIPS 2019). The simplest schedule; keeps every
// micro-batch's activations. Found by name in schedule.hpp. Read next: schedules/one_f_one_b.hpp.
#pragma once

#include "ashlar/parallel/pipeline/action.hpp"

namespace ashlar::inline v0::pipeline {

/// One stage a rank. With a backward that costs two forwards, the bubble is (p - 1) / (m + p - 1) of the time, for p
/// ranks and m micro-batches. Holds m micro-batches.
inline Schedule gpipe(int ranks, int micro_batches) {
  Schedule schedule = empty_schedule(ranks, loop_layout(ranks, ranks), micro_batches);
  for (int stage = 0; stage < ranks; ++stage) {
    std::vector<Action>& actions = schedule.actions[static_cast<std::size_t>(stage)];
    for (int m = 0; m < micro_batches; ++m) actions.push_back({Kind::forward, stage, m});
    for (int m = 0; m < micro_batches; ++m) actions.push_back({Kind::backward, stage, m});
  }
  return schedule;
}

}  // namespace ashlar::inline v0::pipeline
