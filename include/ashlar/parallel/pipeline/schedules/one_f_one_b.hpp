// 1F1B: forwards until the first gradient arrives, then one forward and one backward in turn (Narayanan et al.,
// "PipeDream-2BW" and "Megatron-LM", 2021). The default. Found by name in schedule.hpp. Read next: schedules/zbv.hpp.
#pragma once

#include <algorithm>

#include "ashlar/parallel/pipeline/action.hpp"

namespace ashlar::inline v0::pipeline {

/// One stage a rank. The bubble is GPipe's, (p - 1) / (m + p - 1) of the time for p ranks and m micro-batches, but a
/// rank holds min(m, p - rank) micro-batches, not m. Fewer micro-batches than ranks are allowed.
inline Schedule one_f_one_b(int ranks, int micro_batches) {
  Schedule schedule = empty_schedule(ranks, loop_layout(ranks, ranks), micro_batches);
  for (int stage = 0; stage < ranks; ++stage) {
    std::vector<Action>& actions = schedule.actions[static_cast<std::size_t>(stage)];
    const int warm_up = std::min(micro_batches, ranks - stage);
    for (int m = 0; m < warm_up; ++m) actions.push_back({Kind::forward, stage, m});
    for (int m = 0; m < micro_batches; ++m) {
      actions.push_back({Kind::backward, stage, m});
      if (m + warm_up < micro_batches) actions.push_back({Kind::forward, stage, m + warm_up});
    }
  }
  return schedule;
}

}  // namespace ashlar::inline v0::pipeline
