// The pipeline executor: runs one rank's actions of any lowered schedule. With one rank it is a plain loop over
// micro-batches. A message has no number: it is the next of its channel. Read next: lower.hpp (where its list comes
// from).
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "ashlar/comm/communicator.hpp"
#include "ashlar/parallel/pipeline/check.hpp"
#include "ashlar/parallel/pipeline/stage.hpp"
#include "ashlar/parallel/pipeline/taken.hpp"

namespace ashlar::inline v0::pipeline {

/// Runs the actions of rank pp.rank() on its stages. Boundaries travel as one message a stream; receives are posted
/// one compute action ahead, from the second step on, so that they arrive while the stage computes; sends are finished
/// in the background.
template <PipelineStage Stage>
class Executor {
 public:
  using Boundary = typename Stage::Boundary;

  using Queue = typename Stage::Queue;

  /// `schedule` is lowered and valid (check.hpp), for as many ranks as `pp` has. `stages` [schedule.stages] points to
  /// this rank's stages by stage number, with null for those of other ranks; they and the queue, on which the stages
  /// compute, outlive the executor. Collective.
  Executor(Schedule schedule, std::vector<Stage*> stages, Communicator pp, Queue& queue)
      : schedule_(std::move(schedule)),
        stages_(std::move(stages)),
        pp_(std::move(pp)),
        queue_(&queue),
        local_(stages_.size(), -1) {
    if (schedule_.ranks != pp_.size() || schedule_.stages != static_cast<int>(stages_.size()))
      fail(concat("a schedule for ", schedule_.ranks, " ranks and ", schedule_.stages, " stages was given a group of ",
                  pp_.size(), " ranks and ", stages_.size(), " stages"));
    if (const std::optional<Problem> problem = detail::channel_problem(schedule_))
      fail(concat("rank ", problem->rank, ", action ", problem->position, ": ", problem->message));
    int owned = 0;
    for (int s = 0; s < schedule_.stages; ++s) {
      const bool mine = schedule_.rank_of(s) == pp_.rank();
      if (mine != (stage(s) != nullptr))
        fail(concat("rank ", pp_.rank(), mine ? " needs" : " does not own", " stage ", s));
      if (mine) local_[static_cast<std::size_t>(s)] = owned++;
    }
    slots_.resize(static_cast<std::size_t>(owned * schedule_.micro_batches * 4));
    for (const Action& a : actions()) trains_ |= ends_backward(a.kind);
    taken_ = known_as_taken(schedule_, pp_.rank());
    connect();
  }

  /// One step: all actions, then all messages. On return no request is pending. Throws what a stage throws, and
  /// CommError; no request is pending then either, but messages of that step may still be under way between ranks.
  void run() {
    const ClearOnExit clear{*this};
    next_post_ = 0;
    post_receives();
    for (std::size_t i = 0; i < actions().size(); ++i) {
      const Action& action = actions()[i];
      switch (action.kind) {
        case Kind::send_forward:
        case Kind::send_backward: start_send(action, taken_[i]); break;
        case Kind::receive_forward:
        case Kind::receive_backward:
          if (!posts_ahead_) start_receive(action);
          break;
        default:
          post_receives();
          finish_sends(i);
          compute(action);
          finish_sends(i);
      }
    }
    finish_sends(actions().size());
    posts_ahead_ = true;
  }

  /// Drives pending messages on (MPI progresses only inside calls). A stage may call this between its blocks.
  void progress() {
    for (Slot& slot : slots_)
      for (Request& request : slot.requests) request.test();
  }

 private:
  /// A boundary on its way into or out of a stage, and its messages.
  struct Slot {
    Boundary boundary{};
    std::vector<Request> requests;  // one a stream; empty where it is handed over in memory
    bool full = false;
  };
  struct Outgoing {
    Slot* slot;
    int stage, micro_batch;
    bool gradient;
    std::size_t taken;  // the action by which it has been taken, see taken.hpp
  };
  /// However run() ends, no request outlives the buffers it writes to: stages may be destroyed next.
  struct ClearOnExit {
    Executor& executor;
    ~ClearOnExit() {
      for (Slot& slot : executor.slots_) {
        for (Request& request : slot.requests) request.abandon();  // pending only where the step did not end
        slot.requests.clear();
        slot.full = false;
      }
      executor.outgoing_.clear();
    }
  };

  const std::vector<Action>& actions() const { return schedule_.actions[static_cast<std::size_t>(pp_.rank())]; }
  Stage* stage(int s) const { return stages_[static_cast<std::size_t>(s)]; }
  bool is_local(int s) const { return s >= 0 && s < schedule_.stages && stage(s) != nullptr; }
  Slot& slot(int s, int micro_batch, bool gradient, bool out) {
    const int local = local_[static_cast<std::size_t>(s)];
    return slots_[static_cast<std::size_t>(((local * schedule_.micro_batches + micro_batch) * 2 + gradient) * 2 + out)];
  }
  /// Prepares this rank's channels, all ranks in one order: they pair up gap by gap.
  void connect() {
    Boundary shape{};
    for (int gap = 0; gap + 1 < schedule_.stages; ++gap) {
      const int before = schedule_.rank_of(gap), after = schedule_.rank_of(gap + 1);
      if (before == after || (before != pp_.rank() && after != pp_.rank())) continue;
      for (const bool gradient : {false, true}) {
        if (gradient && !trains_) continue;
        int stream = 0;
        Stage::streams(shape, [&]<class T, class D>(const TensorView<T, D>&) {
          const Channel channel{gap, gradient, stream++};
          pp_.connect<D>(gradient ? after : before, gradient ? before : after, channel);
        });
      }
    }
  }

  /// Takes memory for the receives from where the last call ended up to the next compute action, posts them, and steps
  /// over that.
  void post_receives() {
    const std::vector<Action>& list = actions();
    for (; next_post_ < list.size(); ++next_post_) {
      const Action& a = list[next_post_];
      if (is_compute(a.kind)) {
        ++next_post_;
        return;
      }
      if (a.kind != Kind::receive_forward && a.kind != Kind::receive_backward) continue;
      const bool gradient = a.kind == Kind::receive_backward;
      Slot& target = slot(a.stage, a.micro_batch, gradient, false);
      target.boundary = stage(a.stage)->receive_buffer(a.micro_batch, gradient);
      target.full = true;
      if (posts_ahead_) start_receive(a);
    }
  }
  void start_receive(const Action& a) {
    const bool gradient = a.kind == Kind::receive_backward;
    exchange(slot(a.stage, a.micro_batch, gradient, false), a, gradient, gradient ? a.stage + 1 : a.stage - 1, false);
  }

  void start_send(const Action& a, std::size_t taken) {
    const bool gradient = a.kind == Kind::send_backward;
    Slot& source = slot(a.stage, a.micro_batch, gradient, true);
    if (!source.full) fail("the schedule sends for " + to_string(a) + " what it has not computed");
    exchange(source, a, gradient, gradient ? a.stage - 1 : a.stage + 1, true);
    outgoing_.push_back({&source, a.stage, a.micro_batch, gradient, taken});
  }

  /// Starts the messages of a boundary to or from `neighbour`.
  void exchange(Slot& at, const Action& a, bool gradient, int neighbour, bool out) {
    const int peer = schedule_.rank_of(neighbour), gap = std::min(a.stage, neighbour);
    int stream = 0;
    Stage::streams(at.boundary, [&](const auto& view) {
      const Channel channel{gap, gradient, stream++};
      at.requests.push_back(out ? pp_.send(*queue_, view, peer, channel) : pp_.receive(*queue_, view, peer, channel));
    });
  }

  void compute(const Action& a) {
    Stage& at = *stage(a.stage);
    if (a.kind == Kind::forward) {
      pass_on(a, false, at.forward(a.micro_batch, take(a, false, a.stage == 0)));
    } else if (a.kind == Kind::backward) {
      pass_on(a, true, at.backward(a.micro_batch, take(a, true, schedule_.last(a.stage))));
    } else if (a.kind == Kind::backward_input) {
      pass_on(a, true, at.backward_input(a.micro_batch, take(a, true, schedule_.last(a.stage))));
    } else {
      at.backward_weight(a.micro_batch);
    }
    if (trains_ ? ends_backward(a.kind) : true) release_neighbours(a);
  }

  /// The boundary that the action needs, when it has arrived.
  Boundary take(const Action& a, bool gradient, bool is_end) {
    if (is_end) return {};
    Slot& source = slot(a.stage, a.micro_batch, gradient, false);
    if (!source.full) fail("the schedule runs " + to_string(a) + " before what it needs; was it lowered?");
    for (Request& request : source.requests) request.wait(*queue_);
    source.requests.clear();
    source.full = false;
    return std::move(source.boundary);
  }

  /// Hands the boundary to a stage of this rank, or keeps it for its send.
  void pass_on(const Action& a, bool gradient, Boundary boundary) {
    const int neighbour = gradient ? a.stage - 1 : a.stage + 1;
    if (neighbour < 0 || neighbour == schedule_.stages) return;
    Slot& target = is_local(neighbour) ? slot(neighbour, a.micro_batch, gradient, false)
                                       : slot(a.stage, a.micro_batch, gradient, true);
    target.boundary = std::move(boundary);
    target.full = true;
  }

  /// The stage is through with the micro-batch: what stages of this rank handed it is free.
  void release_neighbours(const Action& a) {
    if (is_local(a.stage - 1)) stage(a.stage - 1)->sent(a.micro_batch, false);
    if (trains_ && is_local(a.stage + 1)) stage(a.stage + 1)->sent(a.micro_batch, true);
  }

  /// Tells the stages which sends are done, at action `now`. Those that have been taken by then are (wait() returns at
  /// once, and on a GPU holds nothing up), though a host that runs ahead of its GPU may not see it.
  void finish_sends(std::size_t now) {
    std::erase_if(outgoing_, [&](const Outgoing& out) {
      bool done = true;
      for (Request& request : out.slot->requests) done &= out.taken <= now || request.test();
      if (!done) return false;
      for (Request& request : out.slot->requests) request.wait(*queue_);
      out.slot->requests.clear();
      out.slot->boundary = {};
      out.slot->full = false;
      stage(out.stage)->sent(out.micro_batch, out.gradient);
      return true;
    });
  }

  Schedule schedule_;
  std::vector<Stage*> stages_;
  Communicator pp_;
  Queue* queue_;
  std::vector<int> local_;          // by stage: its number among this rank's stages
  std::vector<Slot> slots_;         // [local stage, micro-batch, gradient, out]
  std::vector<Outgoing> outgoing_;  // sends under way
  std::vector<std::size_t> taken_;  // by action
  std::size_t next_post_ = 0;       // the first action whose receive may not be posted yet
  bool trains_ = false;             // false for forward_only schedules
  // Not in the first step, in which kernels are loaded and memory grows: on a GPU that may wait for kernels that run,
  // and a receive on its way is one that waits for a peer.
  bool posts_ahead_ = false;
};

}  // namespace ashlar::inline v0::pipeline
