// Whether a schedule can be run: every action once and in its place, and no rank ever waits for ever. Read next:
// csv.hpp.
#pragma once

#include <optional>

#include "ashlar/core/platform.hpp"
#include "ashlar/parallel/pipeline/timeline.hpp"

namespace ashlar::inline v0::pipeline {

/// What is wrong with a schedule, and at which action: `position` may be one past the rank's last action.
struct Problem {
  int rank;
  int position;
  std::string message;
};

namespace detail {

/// What is wrong with one action, looked at alone; empty where nothing is.
inline std::string action_problem(const Schedule& schedule, int rank, const Action& a) {
  if (a.stage < 0 || a.stage >= schedule.stages) return concat("there is no stage ", a.stage);
  if (a.micro_batch < 0 || a.micro_batch >= schedule.micro_batches)
    return concat("there is no micro-batch ", a.micro_batch);
  if (schedule.rank_of(a.stage) != rank)
    return concat("stage ", a.stage, " belongs to rank ", schedule.rank_of(a.stage), ", not to rank ", rank);
  const bool before = a.kind == Kind::receive_forward || a.kind == Kind::send_backward;
  const bool after = a.kind == Kind::send_forward || a.kind == Kind::receive_backward;
  if ((before && !schedule.crosses_before(a.stage)) || (after && !schedule.crosses_after(a.stage)))
    return concat(to_string(a), " exchanges with no other rank");
  return {};
}

/// For each stage and micro-batch, the kinds that occur, as bits.
class Occurrences {
 public:
  explicit Occurrences(const Schedule& schedule)
      : micro_batches_(schedule.micro_batches),
        kinds_(static_cast<std::size_t>(schedule.stages * schedule.micro_batches), 0) {}

  unsigned& of(int stage, int m) { return kinds_[static_cast<std::size_t>(stage * micro_batches_ + m)]; }
  bool has(Kind kind, int stage, int m) { return of(stage, m) >> static_cast<unsigned>(kind) & 1u; }

  /// Adds the action. Returns what it repeats, or nothing.
  std::string add(const Action& a) {
    const bool repeated = has(a.kind, a.stage, a.micro_batch);
    of(a.stage, a.micro_batch) |= 1u << static_cast<unsigned>(a.kind);
    if (repeated) return to_string(a) + " is there twice";
    const bool halves =
        has(Kind::backward_input, a.stage, a.micro_batch) || has(Kind::backward_weight, a.stage, a.micro_batch);
    if (halves && has(Kind::backward, a.stage, a.micro_batch))
      return concat("stage ", a.stage, " does the backward of micro-batch ", a.micro_batch, " whole and in halves");
    return {};
  }
  /// The first action that is missing for a stage and micro-batch, or nothing.
  std::optional<Action> missing(const Schedule& schedule, int s, int m, bool lowered) {
    const auto need = [&](bool condition, Kind kind) { return condition && !has(kind, s, m); };
    const bool halves = has(Kind::backward_input, s, m) || has(Kind::backward_weight, s, m);
    const bool before = lowered && schedule.crosses_before(s), after = lowered && schedule.crosses_after(s);
    if (need(true, Kind::forward)) return Action{Kind::forward, s, m};
    if (need(!halves, Kind::backward)) return Action{Kind::backward, s, m};
    if (need(halves, Kind::backward_input)) return Action{Kind::backward_input, s, m};
    if (need(halves, Kind::backward_weight)) return Action{Kind::backward_weight, s, m};
    if (need(before, Kind::receive_forward)) return Action{Kind::receive_forward, s, m};
    if (need(before, Kind::send_backward)) return Action{Kind::send_backward, s, m};
    if (need(after, Kind::send_forward)) return Action{Kind::send_forward, s, m};
    if (need(after, Kind::receive_backward)) return Action{Kind::receive_backward, s, m};
    return std::nullopt;
  }

 private:
  int micro_batches_;
  std::vector<unsigned> kinds_;
};

/// Where the two ends of a channel count its messages differently, if anywhere: the n-th that a stage receives is the
/// n-th that its neighbour sends, whatever their micro-batches. For lowered schedules that are complete.
inline std::optional<Problem> channel_problem(const Schedule& schedule) {
  const auto messages = [&](Kind kind, int stage) {
    std::vector<std::pair<int, int>> found;  // micro-batch, position among the rank's actions
    const std::vector<Action>& actions = schedule.actions[static_cast<std::size_t>(schedule.rank_of(stage))];
    for (std::size_t i = 0; i < actions.size(); ++i)
      if (actions[i].kind == kind && actions[i].stage == stage)
        found.emplace_back(actions[i].micro_batch, static_cast<int>(i));
    return found;
  };
  for (int s = 0; s + 1 < schedule.stages; ++s)
    for (const bool gradient : {false, true}) {
      if (!schedule.crosses_after(s)) continue;
      const int from = gradient ? s + 1 : s, to = gradient ? s : s + 1;
      const Kind send = gradient ? Kind::send_backward : Kind::send_forward;
      const Kind receive = gradient ? Kind::receive_backward : Kind::receive_forward;
      const auto sent = messages(send, from), received = messages(receive, to);
      for (std::size_t i = 0; i < std::min(sent.size(), received.size()); ++i)
        if (sent[i].first != received[i].first)
          return Problem{schedule.rank_of(to), received[i].second,
                         concat("stage ", to, " would take for ", to_string(Action{receive, to, received[i].first}),
                                " what stage ", from, " sends as ", to_string(Action{send, from, sent[i].first}),
                                ": both are message ", i, " of their channel")};
    }
  return std::nullopt;
}

}  // namespace detail

/// The first problem of a schedule, lowered or not; none where the executor can run it. Each stage must do, for each
/// micro-batch, F and either B or both I and W, once; lowered schedules also each send and receive, once, both ends of
/// a channel in one order; in an order in which all of them get to run.
std::optional<Problem> find_problem(const Schedule& schedule);

/// Throws Error when the schedule has a problem.
void check_schedule(const Schedule& schedule);

}  // namespace ashlar::inline v0::pipeline

#if !ASHLAR_COMPILED
#include "ashlar/parallel/pipeline/check.ipp"
#endif
