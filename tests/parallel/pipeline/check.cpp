#include "ashlar/parallel/pipeline/check.hpp"

#include <map>

#include "ashlar/core/random.hpp"
#include "ashlar/parallel/pipeline/lower.hpp"
#include "ashlar/parallel/pipeline/schedule.hpp"
#include "catch.hpp"

using namespace ashlar;
using namespace ashlar::pipeline;

namespace {

std::string message(const Schedule& schedule) {
  const std::optional<Problem> problem = find_problem(schedule);
  return problem ? concat(problem->rank, ":", problem->position, ": ", problem->message) : "none";
}

/// Whether ranks that block in every receive can finish, trying them one action at a time in a scrambled order: a
/// second opinion on simulate(), with messages as counters and no notion of time. `eager`: a send is buffered;
/// otherwise it is only done when its receive is reached, and is waited for at the rank's end.
bool finishes(const Schedule& lowered, bool eager, std::uint64_t seed) {
  const auto key = [&](bool gradient, int from, int m) { return ((from * lowered.micro_batches + m) << 1) | gradient; };
  std::vector<char> sent(static_cast<std::size_t>(2 * lowered.stages * lowered.micro_batches), 0), received = sent;
  std::vector<char> forward(sent.size(), 0), gradient = forward, input = forward;
  const auto ix = [&](int s, int m) { return static_cast<std::size_t>(s * lowered.micro_batches + m); };
  std::vector<std::size_t> next(lowered.actions.size(), 0);
  const RandomStream random(seed, 1);
  int idle = 0;
  for (std::uint64_t turn = 0; idle < 200 * lowered.ranks; ++turn) {
    const auto r = static_cast<std::size_t>(random.below(turn, next.size()));
    ++idle;
    if (next[r] == lowered.actions[r].size()) continue;
    const Action& a = lowered.actions[r][next[r]];
    const int s = a.stage, m = a.micro_batch;
    bool ready = true;
    switch (a.kind) {
      case Kind::send_forward: sent[static_cast<std::size_t>(key(false, s, m))] = forward[ix(s, m)]; break;
      case Kind::send_backward: sent[static_cast<std::size_t>(key(true, s, m))] = gradient[ix(s, m)]; break;
      case Kind::receive_forward:
      case Kind::receive_backward: {
        const bool back = a.kind == Kind::receive_backward;
        const auto k = static_cast<std::size_t>(key(back, back ? s + 1 : s - 1, m));
        ready = sent[k];
        if (ready) received[k] = 1, input[2 * ix(s, m) + back] = 1;
        break;
      }
      case Kind::forward:
        ready = s == 0 || (lowered.crosses_before(s) ? input[2 * ix(s, m)] : forward[ix(s - 1, m)]);
        forward[ix(s, m)] = ready;
        break;
      case Kind::backward:
      case Kind::backward_input:
        ready = forward[ix(s, m)] &&
                (lowered.last(s) || (lowered.crosses_after(s) ? input[2 * ix(s, m) + 1] : gradient[ix(s + 1, m)]));
        gradient[ix(s, m)] = ready;
        break;
      case Kind::backward_weight: ready = gradient[ix(s, m)]; break;
    }
    if (ready) ++next[r], idle = 0;
  }
  for (std::size_t r = 0; r < next.size(); ++r)
    if (next[r] != lowered.actions[r].size()) return false;
  return eager || sent == received;  // what was sent and never received leaves its sender waiting
}

}  // namespace

TEST_CASE("Lowered schedules finish, whether sends are eager or wait for their receive, in any order of events") {
  for (const NamedSchedule& named : named_schedules)
    for (int ranks : {1, 2, 3, 4, 8})
      for (int m : {1, 2, 3, 7, 17})
        for (bool eager : {true, false}) {
          CAPTURE(named.name, ranks, m, eager);
          REQUIRE(finishes(lower(named.make(ranks, m)), eager, static_cast<std::uint64_t>(m)));
        }
}

TEST_CASE("Every action that is left out, doubled or given to another rank is found") {
  for (const Schedule& valid :
       {one_f_one_b(3, 4), zbv_zero_bubble(2, 3), lower(zbv_zero_bubble(2, 3)), lower(gpipe(3, 2))}) {
    REQUIRE(message(valid) == "none");
    for (std::size_t r = 0; r < valid.actions.size(); ++r)
      for (std::size_t i = 0; i < valid.actions[r].size(); ++i) {
        CAPTURE(r, i);
        const Action action = valid.actions[r][i];
        const auto at = static_cast<std::ptrdiff_t>(i);
        Schedule broken = valid;
        broken.actions[r].erase(broken.actions[r].begin() + at);
        REQUIRE(message(broken) != "none");
        broken.actions[(r + 1) % valid.actions.size()].push_back(action);
        REQUIRE(message(broken) != "none");
        broken = valid;
        broken.actions[r].insert(broken.actions[r].begin() + at, action);
        REQUIRE(message(broken) == concat(r, ":", i + 1, ": ", to_string(action), " is there twice"));
      }
  }
}

/// Whether the n-th message that each stage receives is the n-th that its neighbour sends: the check's promise, told
/// through queues.
bool channels_agree(const Schedule& lowered) {
  std::map<std::pair<int, bool>, std::vector<int>> sent, received;  // by the gap between stages, and direction
  for (const auto& actions : lowered.actions)
    for (const Action& a : actions) {
      if (a.kind == Kind::send_forward) sent[{a.stage, false}].push_back(a.micro_batch);
      if (a.kind == Kind::receive_forward) received[{a.stage - 1, false}].push_back(a.micro_batch);
      if (a.kind == Kind::send_backward) sent[{a.stage - 1, true}].push_back(a.micro_batch);
      if (a.kind == Kind::receive_backward) received[{a.stage, true}].push_back(a.micro_batch);
    }
  return sent == received;
}

TEST_CASE("Both ends of a channel count alike, or it is said where they do not") {
  for (const NamedSchedule& named : named_schedules)
    for (int ranks : {1, 2, 3, 4})
      for (int m = 1; m <= 9; ++m) {
        CAPTURE(named.name, ranks, m);
        const Schedule lowered = lower(named.make(ranks, m));
        REQUIRE(channels_agree(lowered));
        REQUIRE(message(lowered) == "none");
      }
  Schedule swapped = lower(gpipe(2, 2));
  REQUIRE(swapped.actions[1][0] == Action{Kind::receive_forward, 1, 0});
  std::swap(swapped.actions[1][0], swapped.actions[1][2]);  // 1RF1 1F0 1RF0 1F1: F0 would get the output of 0F0 as 1RF1
  std::swap(swapped.actions[1][1], swapped.actions[1][3]);
  REQUIRE(message(swapped) ==
          "1:0: stage 1 would take for 1RF1 what stage 0 sends as 0SF0: both are message 0 of their channel");
}

TEST_CASE(
    "Swapped actions: a problem exactly where a second opinion sees a rank that never ends, or swapped messages") {
  int stuck = 0, fine = 0;
  for (const Schedule& valid : {lower(one_f_one_b(3, 4)), lower(zbv_zero_bubble(2, 4)), lower(zbv_zero_bubble(3, 3))})
    for (std::size_t r = 0; r < valid.actions.size(); ++r)
      for (std::size_t i = 0; i + 1 < valid.actions[r].size(); ++i)
        for (std::size_t distance : {1u, 2u, 4u}) {
          if (i + distance >= valid.actions[r].size()) continue;
          Schedule swapped = valid;
          std::swap(swapped.actions[r][i], swapped.actions[r][i + distance]);
          const bool ends = finishes(swapped, false, i) && channels_agree(swapped);
          CAPTURE(r, i, distance, message(swapped));
          // A send before its computation is refused outright; the second opinion sends nothing then.
          REQUIRE(ends == (message(swapped) == "none"));
          ++(ends ? fine : stuck);
        }
  REQUIRE(stuck > 50);
  REQUIRE(fine > 50);
}

TEST_CASE("Problems say where they are") {
  Schedule schedule = one_f_one_b(2, 2);
  schedule.actions[1][1] = {Kind::backward, 2, 0};
  REQUIRE(message(schedule) == "1:1: there is no stage 2");
  schedule.actions[1][1] = {Kind::backward, 1, 2};
  REQUIRE(message(schedule) == "1:1: there is no micro-batch 2");
  schedule.actions[1][1] = {Kind::backward, 0, 0};
  REQUIRE(message(schedule) == "1:1: stage 0 belongs to rank 0, not to rank 1");
  schedule.actions[1][1] = {Kind::send_forward, 1, 0};
  REQUIRE(message(schedule) == "1:1: 1SF0 exchanges with no other rank");
  schedule.actions[1][1] = {Kind::backward_input, 1, 0};
  REQUIRE(message(schedule) == "1:4: rank 1 never runs 1W0");
  schedule.stage_to_rank[0] = 2;
  REQUIRE(message(schedule) == "0:0: the schedule's sizes disagree with its lists");
  REQUIRE_THROWS_AS(check_schedule(schedule), Error);
  check_schedule(one_f_one_b(2, 2));
}
