// LocalGroup: where the threads of a Local group meet. Collectives pair up by sequence number, messages by (source,
// destination, channel); whoever waits learns when a rank dies, ends or does not come. Read next: comm/local.hpp.
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
#include "ashlar/core/platform.hpp"

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
  std::shared_ptr<LocalOperation> post(int member, const Operation& what, LocalOperation::Part part);
  /// Blocks until the operation is done, or throws.
  void wait(int member, LocalOperation& operation, Clock::time_point deadline);
  /// The member's buffers go away: the operation can't be carried out any more, and for the others this rank has died.
  void abandon(int member, LocalOperation& operation) noexcept;
};

}  // namespace ashlar::inline v0::detail

#if !ASHLAR_COMPILED
#include "ashlar/comm/local_group.ipp"
#endif
