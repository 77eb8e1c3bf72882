// Definitions of lower.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/parallel/pipeline/lower.hpp"

namespace ashlar::inline v0::pipeline {

ASHLAR_ONCE Schedule lower(const Schedule& schedule) {
  Schedule lowered = schedule;
  for (std::vector<Action>& actions : lowered.actions) {
    detail::ReceivePlacer receives(schedule);
    std::vector<Action> compute;
    compute.swap(actions);
    for (const Action& a : compute) {
      check(is_compute(a.kind), "a schedule is lowered once");
      const bool forward = a.kind == Kind::forward, gradient = makes_gradient(a.kind);
      if (forward && schedule.crosses_before(a.stage)) receives.place(a, false, actions);
      if (gradient && schedule.crosses_after(a.stage)) receives.place(a, true, actions);
      actions.push_back(a);
      if (forward && schedule.crosses_after(a.stage)) actions.push_back({Kind::send_forward, a.stage, a.micro_batch});
      if (gradient && schedule.crosses_before(a.stage))
        actions.push_back({Kind::send_backward, a.stage, a.micro_batch});
    }
  }
  return lowered;
}

ASHLAR_ONCE Schedule forward_only(Schedule schedule) {
  for (std::vector<Action>& actions : schedule.actions)
    std::erase_if(actions, [](const Action& a) {
      return a.kind != Kind::forward && a.kind != Kind::send_forward && a.kind != Kind::receive_forward;
    });
  return schedule;
}

}  // namespace ashlar::inline v0::pipeline
