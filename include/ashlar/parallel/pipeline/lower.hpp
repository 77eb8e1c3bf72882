// Lowering: from what the stages compute to what the ranks do, with the messages between them. Read next: executor.hpp.
#pragma once

#include <algorithm>

#include "ashlar/core/platform.hpp"
#include "ashlar/parallel/pipeline/action.hpp"

namespace ashlar::inline v0::pipeline {

namespace detail {

/// The micro-batches in the order in which a stage makes its output, or the gradient of its input.
inline std::vector<int> order_made(const Schedule& schedule, int stage, bool gradient) {
  std::vector<int> order;
  for (const Action& a : schedule.actions[static_cast<std::size_t>(schedule.rank_of(stage))])
    if (a.stage == stage && (gradient ? makes_gradient(a.kind) : a.kind == Kind::forward))
      order.push_back(a.micro_batch);
  return order;
}

/// Places receives: those of a channel in the order of its sends, each as late as that and its action allow.
class ReceivePlacer {
 public:
  explicit ReceivePlacer(const Schedule& schedule)
      : schedule_(schedule), placed_(static_cast<std::size_t>(2 * schedule.stages), 0) {}

  /// Appends what must be received before the action that needs the boundary of `a`'s micro-batch from another rank.
  void place(const Action& a, bool gradient, std::vector<Action>& actions) {
    const std::vector<int> order = order_made(schedule_, gradient ? a.stage + 1 : a.stage - 1, gradient);
    std::size_t& next = placed_[static_cast<std::size_t>(2 * a.stage + gradient)];
    const auto needed = std::ranges::find(order, a.micro_batch);
    const Kind kind = gradient ? Kind::receive_backward : Kind::receive_forward;
    if (needed == order.end())
      return actions.push_back({kind, a.stage, a.micro_batch});  // check.hpp says what is wrong
    for (; next <= static_cast<std::size_t>(needed - order.begin()); ++next)
      actions.push_back({kind, a.stage, order[next]});
  }

 private:
  const Schedule& schedule_;
  std::vector<std::size_t> placed_;  // [stage, gradient]: receives so far
};

}  // namespace detail

/// The schedule with a receive right before each action that needs a boundary of another rank, and a send right after
/// each that makes one. Stages of one rank hand over in memory: no action. Messages between two stages have no names,
/// only their order: where the receiver needs them in another one than they are sent in, it receives some early. A
/// receive thus waits only for what its action waits for anyway, and a send is started (not waited for) as soon as it
/// can be: a schedule whose compute actions can be run can be run with its messages, whether sends are eager or wait
/// for their receive.
Schedule lower(const Schedule& schedule);

/// The schedule without its backward actions: what validation runs. Before or after lowering.
Schedule forward_only(Schedule schedule);

}  // namespace ashlar::inline v0::pipeline

#if !ASHLAR_COMPILED
#include "ashlar/parallel/pipeline/lower.ipp"
#endif
