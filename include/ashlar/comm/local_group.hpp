// LocalGroup: where the threads of a Local group meet. Collectives pair up by sequence number, messages by
// (source, destination, channel); whoever waits learns when a rank dies, ends or does not come.
// Used by comm/local.hpp (read that next).
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstring>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <tuple>
#include <vector>

#include "ashlar/comm/operation.hpp"
#include "ashlar/comm/reduce.hpp"

namespace ashlar::inline v0::detail {

using Clock = std::chrono::steady_clock;

/// What all ranks of a Local world share. One lock guards it and the bookkeeping of every group; data is moved outside.
struct LocalWorldState {
  struct Rank {
    std::chrono::milliseconds timeout;
    std::int64_t step = 0;
    bool ended = false;  // returned from its work, or died
  };

  LocalWorldState(int size, std::chrono::milliseconds timeout) : ranks(static_cast<std::size_t>(size), Rank{timeout}) {}

  /// The world breaks with its first death: this and every later operation of other ranks fails.
  void die(int rank, const std::string& reason) {
    const std::lock_guard lock(mutex);
    die_locked(rank, reason);
  }
  void die_locked(int rank, const std::string& reason) {
    if (dead < 0) {
      dead = rank;
      dead_reason = reason;
    }
    ranks[static_cast<std::size_t>(rank)].ended = true;
    changed.notify_all();
  }
  void end(int rank) {
    const std::lock_guard lock(mutex);
    ranks[static_cast<std::size_t>(rank)].ended = true;
    changed.notify_all();
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Rank> ranks;
  int dead = -1;  // the first rank that died
  std::string dead_reason;
  /// Groups by (members, name); each rank's n-th call of group() with the same two meets the n-th of the others.
  struct Rendezvous {
    std::vector<std::shared_ptr<struct LocalGroup>> groups;
    std::map<int, std::size_t> calls;
  };
  std::map<std::pair<std::vector<int>, std::string>, Rendezvous> groups;
};

/// One collective under way: what each rank brought, until the last rank arrives and carries it out for all.
struct LocalOperation {
  enum class Phase { gathering, running, done, failed };
  struct Part {
    const void* send = nullptr;
    void* receive = nullptr;
    std::vector<index_t> send_counts = {}, receive_counts = {};  // of all_to_all
    bool arrived = false;
  };

  Operation what;
  int first;  // the rank (in the world) whose call this began with
  std::vector<Part> parts;
  std::size_t arrived = 0;
  Phase phase = Phase::gathering;
  std::string error;

  bool over() const { return phase == Phase::done || phase == Phase::failed; }
  /// Moves the data of all ranks. Returns what is wrong with the calls, or nothing.
  template <class CompiledOnce = void>
  std::string run();
};

/// A message that was sent before its receive was posted, or a receive that was posted before its message.
struct LocalMessage {
  Operation sent;
  std::vector<std::byte> bytes;
  bool filled = false;
};

struct LocalGroup {
  struct Line {
    std::deque<std::shared_ptr<LocalMessage>> sent, expected;
  };

  std::shared_ptr<LocalWorldState> world;
  std::vector<int> ranks;  // the members' ranks in the world
  std::string name;
  std::vector<std::uint64_t> posted = std::vector<std::uint64_t>(ranks.size(), 0);  // operations a member has called
  std::map<std::uint64_t, std::shared_ptr<LocalOperation>> open = {};               // that not all have called
  std::map<std::tuple<int, int, Channel>, Line> lines = {};                         // by source, destination, channel

  int world_rank(int member) const { return ranks[static_cast<std::size_t>(member)]; }
  LocalWorldState::Rank& rank_state(int member) const {
    return world->ranks[static_cast<std::size_t>(world_rank(member))];
  }
  std::string error_start(int member, const Operation& operation) const {
    return comm_error_start(world_rank(member), rank_state(member).step, name, operation);
  }
  /// Throws when the world is broken. With the lock held.
  void check_alive(int member, const Operation& operation) const {
    if (world->dead >= 0)
      throw CommError(concat(error_start(member, operation), "rank ", world->dead, " died: ", world->dead_reason));
  }
  /// Adds a member's part to its next operation; the last one to come runs it.
  template <class CompiledOnce = void>
  std::shared_ptr<LocalOperation> post(int member, const Operation& what, LocalOperation::Part part);
  /// Blocks until the operation is done, or throws.
  template <class CompiledOnce = void>
  void wait(int member, LocalOperation& operation, Clock::time_point deadline);
  /// The member's buffers go away: the operation can't be carried out any more, and for the others this rank has died.
  template <class CompiledOnce = void>
  void abandon(int member, LocalOperation& operation) noexcept;
};

template <class CompiledOnce>
std::string LocalOperation::run() {
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

template <class CompiledOnce>
std::shared_ptr<LocalOperation> LocalGroup::post(int member, const Operation& what, LocalOperation::Part part) {
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

template <class CompiledOnce>
void LocalGroup::wait(int member, LocalOperation& operation, Clock::time_point deadline) {
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

template <class CompiledOnce>
void LocalGroup::abandon(int member, LocalOperation& operation) noexcept {
  using Phase = LocalOperation::Phase;
  std::unique_lock lock(world->mutex);
  world->changed.wait(lock, [&] { return operation.phase != Phase::running; });  // another rank is using the buffers
  if (operation.phase != Phase::gathering) return;
  operation.phase = Phase::failed;
  operation.error = concat("rank ", world_rank(member), " gave up: its ", to_string(operation.what), " was abandoned");
  world->die_locked(world_rank(member), "its " + to_string(operation.what) + " was abandoned");
}

}  // namespace ashlar::inline v0::detail
