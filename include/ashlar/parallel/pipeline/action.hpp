// Action and Schedule: a pipeline schedule is data, one list of actions for each rank.
// Made by schedules/*.hpp or csv.hpp, checked by check.hpp, run by executor.hpp. Read next: schedules/one_f_one_b.hpp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ashlar/core/error.hpp"

namespace ashlar::inline v0::pipeline {

/// What a rank does with one micro-batch at one stage. `backward` is backward_input and backward_weight in one go.
/// A boundary that crosses ranks is sent by the stage that made it and received by the stage that needs it:
/// send_forward and send_backward name the former, receive_forward and receive_backward the latter.
enum class Kind : unsigned char {
  forward,
  backward,
  backward_input,
  backward_weight,
  send_forward,
  receive_forward,
  send_backward,
  receive_backward,
};

constexpr bool is_compute(Kind kind) {
  return kind <= Kind::backward_weight;
}
/// Whether the action hands a gradient to the stage before.
constexpr bool makes_gradient(Kind kind) {
  return kind == Kind::backward || kind == Kind::backward_input;
}
/// Whether nothing of the micro-batch is needed at this stage afterwards.
constexpr bool ends_backward(Kind kind) {
  return kind == Kind::backward || kind == Kind::backward_weight;
}

/// "F", "B", "I" and "W" as in a schedule's CSV file; "SF", "RF", "SB" and "RB" for communication.
constexpr std::string_view to_string(Kind kind) {
  constexpr std::string_view names[] = {"F", "B", "I", "W", "SF", "RF", "SB", "RB"};
  return names[static_cast<int>(kind)];
}

struct Action {
  Kind kind;
  int stage;
  int micro_batch;

  friend bool operator==(const Action&, const Action&) = default;
};

/// The cell of a CSV file: stage, kind, micro-batch ("3F12").
inline std::string to_string(const Action& action) {
  return concat(action.stage, to_string(action.kind), action.micro_batch);
}

/// What each rank of the pp axis does in one step, in order. Stage s hands its output to stage s + 1 and the gradient
/// of its input to stage s - 1; ranks wait for nothing but that. Every rank holds the whole Schedule.
struct Schedule {
  int ranks = 0;
  int stages = 0;
  int micro_batches = 0;
  std::vector<std::vector<Action>> actions;  // [ranks]
  std::vector<int> stage_to_rank;            // [stages]

  int rank_of(int stage) const { return stage_to_rank[static_cast<std::size_t>(stage)]; }
  bool last(int stage) const { return stage + 1 == stages; }
  /// Whether stage's input comes from another rank.
  bool crosses_before(int stage) const { return stage > 0 && rank_of(stage - 1) != rank_of(stage); }
  /// Whether stage's output goes to another rank.
  bool crosses_after(int stage) const { return !last(stage) && rank_of(stage + 1) != rank_of(stage); }

  friend bool operator==(const Schedule&, const Schedule&) = default;
};

/// Rank p owns stages p, p + ranks, p + 2 ranks, ...
inline std::vector<int> loop_layout(int ranks, int stages) {
  std::vector<int> out;
  for (int s = 0; s < stages; ++s) out.push_back(s % ranks);
  return out;
}

/// Rank p owns stages p and 2 ranks - 1 - p: the last rank has two neighbouring stages, rank 0 the first and the last.
inline std::vector<int> v_layout(int ranks) {
  std::vector<int> out;
  for (int s = 0; s < 2 * ranks; ++s) out.push_back(s < ranks ? s : 2 * ranks - 1 - s);
  return out;
}

/// A Schedule without actions. Throws Error unless there are ranks, whole stages a rank and micro-batches.
inline Schedule empty_schedule(int ranks, std::vector<int> stage_to_rank, int micro_batches) {
  const int stages = static_cast<int>(stage_to_rank.size());
  if (ranks < 1 || stages < ranks || micro_batches < 1)
    fail(concat("a pipeline of ", ranks, " ranks, ", stages, " stages and ", micro_batches,
                " micro-batches can't be scheduled: it has at least one rank, one stage a rank and one micro-batch"));
  return {ranks, stages, micro_batches, std::vector<std::vector<Action>>(static_cast<std::size_t>(ranks)),
          std::move(stage_to_rank)};
}

}  // namespace ashlar::inline v0::pipeline
