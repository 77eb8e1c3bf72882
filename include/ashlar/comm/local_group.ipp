// Definitions of local_group.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/comm/local_group.hpp"

namespace ashlar::inline v0::detail {

ASHLAR_ONCE std::string LocalOperation::run() {
  using Kind = Operation::Kind;
  const std::size_t n = parts.size();
  const index_t count = what.count;
  std::vector<const void*> sources(n);
  switch (what.kind) {
    case Kind::all_reduce:
      for (std::size_t r = 0; r < n; ++r) sources[r] = parts[r].send;
      reduce_in_order(sources, parts[0].receive, count, what.type, what.op);
      for (std::size_t r = 1; r < n; ++r) copy_elements(parts[r].receive, parts[0].receive, count, what.type);
      break;
    case Kind::all_gather:
      for (std::size_t to = 0; to < n; ++to)
        for (std::size_t from = 0; from < n; ++from)
          copy_elements(advance(parts[to].receive, static_cast<index_t>(from) * count, what.type), parts[from].send,
                        count, what.type);
      break;
    case Kind::reduce_scatter:
      for (std::size_t to = 0; to < n; ++to) {
        for (std::size_t r = 0; r < n; ++r)
          sources[r] = advance(parts[r].send, static_cast<index_t>(to) * count, what.type);
        reduce_in_order(sources, parts[to].receive, count, what.type, what.op);
      }
      break;
    case Kind::all_to_all: {
      std::vector<index_t> sent(n, 0);  // elements already taken from each rank's buffer
      for (std::size_t to = 0; to < n; ++to) {
        index_t received = 0;
        for (std::size_t from = 0; from < n; ++from) {
          const index_t rows = parts[from].send_counts[to], expected = parts[to].receive_counts[from];
          if (rows != expected)
            return concat("member ", from, " sends ", rows, " elements to member ", to, ", which expects ", expected);
          copy_elements(advance(parts[to].receive, received, what.type),
                        advance(parts[from].send, sent[from], what.type), rows, what.type);
          sent[from] += rows;
          received += rows;
        }
      }
      break;
    }
    case Kind::broadcast:
      for (Part& part : parts)
        copy_elements(part.receive, parts[static_cast<std::size_t>(what.peer)].send, count, what.type);
      break;
    default: break;  // a barrier moves nothing
  }
  return {};
}

ASHLAR_ONCE std::shared_ptr<LocalOperation> LocalGroup::post(int member, const Operation& what,
                                                             LocalOperation::Part part) {
  using Phase = LocalOperation::Phase;
  std::unique_lock lock(world->mutex);
  check_alive(member, what);
  const std::uint64_t number = posted[static_cast<std::size_t>(member)]++;
  auto& entry = open[number];
  if (!entry) {
    entry = std::make_shared<LocalOperation>(LocalOperation{what, world_rank(member), {}, 0, Phase::gathering, {}});
    entry->parts.resize(ranks.size());
  }
  const std::shared_ptr<LocalOperation> operation = entry;
  part.arrived = true;
  operation->parts[static_cast<std::size_t>(member)] = std::move(part);
  const bool last = ++operation->arrived == ranks.size();
  if (last) open.erase(number);
  if (operation->phase == Phase::gathering && operation->what != what) {
    operation->phase = Phase::failed;
    operation->error = concat("rank ", world_rank(member), " called ", to_string(what), " as operation ", number,
                              " of the group, where rank ", operation->first, " called ", to_string(operation->what));
    world->changed.notify_all();
  }
  if (operation->phase == Phase::failed) throw CommError(error_start(member, what) + operation->error);
  if (!last) return operation;
  operation->phase = Phase::running;
  lock.unlock();
  std::string error = operation->run();
  lock.lock();
  operation->phase = error.empty() ? Phase::done : Phase::failed;
  operation->error = std::move(error);
  world->changed.notify_all();
  return operation;
}

ASHLAR_ONCE void LocalGroup::wait(int member, LocalOperation& operation, Clock::time_point deadline) {
  using Phase = LocalOperation::Phase;
  std::unique_lock lock(world->mutex);
  std::vector<int> missing;
  const auto given_up = [&] {  // whether a rank that has not arrived never will
    missing.clear();
    for (std::size_t r = 0; r < ranks.size(); ++r)
      if (!operation.parts[r].arrived && world->ranks[static_cast<std::size_t>(ranks[r])].ended)
        missing.push_back(ranks[r]);
    return world->dead >= 0 || !missing.empty();
  };
  world->changed.wait_until(lock, deadline, [&] { return operation.phase != Phase::gathering || given_up(); });
  // The rank that carries it out is using this rank's buffers: no deadline ends that.
  world->changed.wait(lock, [&] { return operation.phase != Phase::running; });
  if (operation.phase == Phase::done) return;
  if (operation.phase == Phase::gathering) {
    std::string reason;
    if (given_up()) {
      reason = rank_list(missing) + " ended without it";
    } else {
      for (std::size_t r = 0; r < ranks.size(); ++r)
        if (!operation.parts[r].arrived) missing.push_back(ranks[r]);
      reason = concat("timed out after ", rank_state(member).timeout.count(), " ms: ", rank_list(missing),
                      " did not arrive");
    }
    operation.phase = Phase::failed;  // this rank's buffers go away now: whoever comes later must not use them
    operation.error = concat("rank ", world_rank(member), " gave up: ", reason);
    world->changed.notify_all();
    check_alive(member, operation.what);
    throw CommError(error_start(member, operation.what) + reason);
  }
  check_alive(member, operation.what);
  throw CommError(error_start(member, operation.what) + operation.error);
}

ASHLAR_ONCE void LocalGroup::abandon(int member, LocalOperation& operation) noexcept {
  using Phase = LocalOperation::Phase;
  std::unique_lock lock(world->mutex);
  world->changed.wait(lock, [&] { return operation.phase != Phase::running; });  // another rank is using the buffers
  if (operation.phase != Phase::gathering) return;
  operation.phase = Phase::failed;
  operation.error = concat("rank ", world_rank(member), " gave up: its ", to_string(operation.what), " was abandoned");
  world->die_locked(world_rank(member), "its " + to_string(operation.what) + " was abandoned");
}

}  // namespace ashlar::inline v0::detail
