// Definitions of check.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/parallel/pipeline/check.hpp"

namespace ashlar::inline v0::pipeline {

ASHLAR_ONCE std::optional<Problem> find_problem(const Schedule& schedule) {
  bool shaped = schedule.ranks >= 1 && schedule.stages >= 1 && schedule.micro_batches >= 1 &&
                static_cast<int>(schedule.actions.size()) == schedule.ranks &&
                static_cast<int>(schedule.stage_to_rank.size()) == schedule.stages;
  for (int rank : schedule.stage_to_rank) shaped = shaped && rank >= 0 && rank < schedule.ranks;
  if (!shaped) return Problem{0, 0, "the schedule's sizes disagree with its lists"};

  bool lowered = false;
  detail::Occurrences seen(schedule);
  for (int r = 0; r < schedule.ranks; ++r) {
    const std::vector<Action>& actions = schedule.actions[static_cast<std::size_t>(r)];
    for (std::size_t i = 0; i < actions.size(); ++i) {
      lowered = lowered || !is_compute(actions[i].kind);
      std::string message = detail::action_problem(schedule, r, actions[i]);
      if (message.empty()) message = seen.add(actions[i]);
      if (!message.empty()) return Problem{r, static_cast<int>(i), std::move(message)};
    }
  }
  for (int s = 0; s < schedule.stages; ++s)
    for (int m = 0; m < schedule.micro_batches; ++m)
      if (const std::optional<Action> action = seen.missing(schedule, s, m, lowered)) {
        const int r = schedule.rank_of(s), end = static_cast<int>(schedule.actions[static_cast<std::size_t>(r)].size());
        return Problem{r, end, concat("rank ", r, " never runs ", to_string(*action))};
      }

  if (lowered)
    if (std::optional<Problem> problem = detail::channel_problem(schedule)) return problem;
  const Timeline timeline = simulate(schedule);
  for (std::size_t r = 0; r < timeline.begin.size(); ++r)
    for (std::size_t i = 0; i < timeline.begin[r].size(); ++i)
      if (timeline.begin[r][i] < 0)
        return Problem{static_cast<int>(r), static_cast<int>(i),
                       concat("rank ", r, " waits for ever before ", to_string(schedule.actions[r][i]),
                              ": what it needs comes later, or waits for this rank")};
  return std::nullopt;
}

ASHLAR_ONCE void check_schedule(const Schedule& schedule) {
  if (const std::optional<Problem> problem = find_problem(schedule))
    fail(concat("invalid pipeline schedule: rank ", problem->rank, ", action ", problem->position, ": ",
                problem->message));
}

}  // namespace ashlar::inline v0::pipeline
