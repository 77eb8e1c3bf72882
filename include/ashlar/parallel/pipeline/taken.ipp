// Definitions of taken.hpp. Included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include <algorithm>
#include <map>
#include <tuple>

#include "ashlar/parallel/pipeline/taken.hpp"

namespace ashlar::inline v0::pipeline {

namespace detail {

/// How many actions of each rank are known to be done.
using Knowledge = std::vector<std::size_t>;

/// The compute action of `a`'s neighbour that takes what the send `a` sends.
inline bool takes(const Action& sent, const Action& a) {
  if (a.micro_batch != sent.micro_batch) return false;
  if (sent.kind == Kind::send_forward) return a.kind == Kind::forward && a.stage == sent.stage + 1;
  return makes_gradient(a.kind) && a.stage == sent.stage - 1;
}

}  // namespace detail

ASHLAR_ONCE std::vector<std::size_t> known_as_taken(const Schedule& schedule, int rank) {
  const auto ranks = static_cast<std::size_t>(schedule.ranks), me = static_cast<std::size_t>(rank);
  struct Sent {
    std::size_t action;       // of this rank
    std::size_t peer, taken;  // how many actions of the peer are done once it has taken the message
  };
  std::vector<Sent> open;
  std::vector<std::size_t> known(schedule.actions[me].size(), schedule.actions[me].size());
  std::vector<detail::Knowledge> at(ranks, detail::Knowledge(ranks, 0));
  std::map<std::tuple<Kind, int, int>, detail::Knowledge> under_way;  // what a message tells, by its send

  const auto send_of = [](const Action& a) {
    return a.kind == Kind::receive_forward ? std::tuple(Kind::send_forward, a.stage - 1, a.micro_batch)
                                           : std::tuple(Kind::send_backward, a.stage + 1, a.micro_batch);
  };
  const auto run = [&](std::size_t r, const Action& a) {  // false: it waits for a message
    const bool sends = a.kind == Kind::send_forward || a.kind == Kind::send_backward;
    if (!is_compute(a.kind) && !sends) {
      const auto message = under_way.find(send_of(a));
      if (message == under_way.end()) return false;
      for (std::size_t k = 0; k < ranks; ++k) at[r][k] = std::max(at[r][k], message->second[k]);
      under_way.erase(message);
    }
    const std::size_t number = at[r][r]++;
    if (sends) under_way[{a.kind, a.stage, a.micro_batch}] = at[r];
    if (r != me) return true;
    if (sends) {
      const int neighbour = a.kind == Kind::send_forward ? a.stage + 1 : a.stage - 1;
      const auto peer = static_cast<std::size_t>(schedule.rank_of(neighbour));
      const std::vector<Action>& theirs = schedule.actions[peer];
      const auto taker = std::ranges::find_if(theirs, [&](const Action& b) { return detail::takes(a, b); });
      open.push_back({number, peer, static_cast<std::size_t>(taker - theirs.begin()) + 1});
    }
    std::erase_if(open, [&](const Sent& sent) {
      if (at[me][sent.peer] < sent.taken) return false;
      known[sent.action] = number;
      return true;
    });
    return true;
  };
  for (bool moved = true; moved;) {
    moved = false;
    for (std::size_t r = 0; r < ranks; ++r)
      while (at[r][r] < schedule.actions[r].size() && run(r, schedule.actions[r][at[r][r]])) moved = true;
  }
  return known;
}

}  // namespace ashlar::inline v0::pipeline
