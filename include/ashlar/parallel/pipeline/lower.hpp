// Lowering: from what the stages compute to what the ranks do, with the messages between them.
// Used by whoever hands a schedule to executor.hpp. Read next: executor.hpp.
#pragma once

#include <algorithm>

#include "ashlar/parallel/pipeline/action.hpp"

namespace ashlar::inline v0::pipeline {

/// The schedule with a receive right before each action that needs a boundary of another rank, and a send right after
/// each that makes one. Stages of one rank hand over in memory: no action. A receive thus waits only for what its
/// action waits for anyway, and a send is started (not waited for) as soon as it can be: a schedule whose compute
/// actions can be run can be run with its messages, whether sends are eager or wait for their receive.
template <class CompiledOnce = void>
Schedule lower(const Schedule& schedule) {
  Schedule lowered = schedule;
  for (std::vector<Action>& actions : lowered.actions) {
    std::vector<Action> compute;
    compute.swap(actions);
    for (const Action& a : compute) {
      check(is_compute(a.kind), "a schedule is lowered once");
      const bool forward = a.kind == Kind::forward, gradient = makes_gradient(a.kind);
      if (forward && schedule.crosses_before(a.stage))
        actions.push_back({Kind::receive_forward, a.stage, a.micro_batch});
      if (gradient && schedule.crosses_after(a.stage))
        actions.push_back({Kind::receive_backward, a.stage, a.micro_batch});
      actions.push_back(a);
      if (forward && schedule.crosses_after(a.stage)) actions.push_back({Kind::send_forward, a.stage, a.micro_batch});
      if (gradient && schedule.crosses_before(a.stage))
        actions.push_back({Kind::send_backward, a.stage, a.micro_batch});
    }
  }
  return lowered;
}

/// The schedule without its backward actions: what validation runs. Before or after lowering.
template <class CompiledOnce = void>
Schedule forward_only(Schedule schedule) {
  for (std::vector<Action>& actions : schedule.actions)
    std::erase_if(actions, [](const Action& a) {
      return a.kind != Kind::forward && a.kind != Kind::send_forward && a.kind != Kind::receive_forward;
    });
  return schedule;
}

}  // namespace ashlar::inline v0::pipeline
