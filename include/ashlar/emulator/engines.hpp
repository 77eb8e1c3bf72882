// What works beside the threads of a cluster, and its state for one run: mbarriers, the copy engine, wgmma, cp.async,
// the cluster's barrier, the pool of registers. Read next: emulator/mbarrier.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ashlar/emulator/block.hpp"
#include "ashlar/emulator/bulk_copy.hpp"
#include "ashlar/emulator/mbarrier.hpp"
#include "ashlar/emulator/wgmma.hpp"

namespace ashlar::inline v0::simt::detail {

/// The barrier of all threads of a cluster, in two halves.
class ClusterBarrier {
 public:
  void arrive(Block& block, Site where) {
    State& state = state_[block.current()];
    if (state.arrived) block.fault("ptx::cluster_arrive twice without ptx::cluster_wait between", where);
    state = {true, phase_};
    if (arrived_ == 0) where_ = where;
    block.shared_memory().clocks().release(block.current(), arriving_);
    if (++arrived_ < block.all_threads()) return;
    arrived_ = 0;
    ++phase_;
    released_.swap(arriving_);
    arriving_.clear();
    for (const int thread : waiting_) block.wake(thread);
    waiting_.clear();
  }
  void wait(Block& block, Site where) {
    State& state = state_[block.current()];
    if (!state.arrived) block.fault("ptx::cluster_wait without ptx::cluster_arrive before", where);
    if (state.phase == phase_) {
      waiting_.push_back(block.current());
      block.wait([](const Block&, int) -> std::string { return "at the cluster's barrier"; }, where);
    }
    state.arrived = false;
    block.shared_memory().clocks().acquire(block.current(), released_);
  }
  /// The thread exits: nobody may wait for it.
  void leave(const Block& block, int thread) const {
    if (arrived_ > 0 && !waiting_.empty())
      if (const auto found = state_.find(thread); found == state_.end() || !found->second.arrived)
        block.fault_of(thread, "the thread leaves its cluster early: others wait for it at the cluster's barrier",
                       where_);
  }

 private:
  struct State {
    bool arrived = false;
    std::uint32_t phase = 0;
  };
  std::map<int, State> state_;
  int arrived_ = 0;
  std::uint32_t phase_ = 0;
  Site where_;  // of the first that arrived
  Sight arriving_, released_;
  std::vector<int> waiting_;
};

/// Registers of a block's warpgroups, as setmaxnreg moves them.
class RegisterPool {
 public:
  /// The running thread's warpgroup is to have `count` a thread. Only the last of its threads acts.
  void set(Block& block, int count, bool fewer, Site where) {
    if (held_.empty()) {
      const int warpgroups = (block.threads() + 127) / 128;
      entry_ = std::min(255, 65536 / block.threads()) / 8 * 8;
      held_.assign(static_cast<std::size_t>(warpgroups * block.blocks()), {entry_, 0});
      free_.assign(static_cast<std::size_t>(block.blocks()), 65536 / 128 / 8 * 8 - entry_ * warpgroups);
    }
    const auto rank = static_cast<std::size_t>(block.rank());
    Held& held = held_[static_cast<std::size_t>(block.current() / 128)];
    if (fewer && count > held.count)
      block.fault(concat("fewer_registers<", count, ">, but the warpgroup has ", held.count), where);
    if (++held.asked < 128) return;
    held.asked = 0;
    if (!fewer && count <= held.count) return;  // the compiler gave it fewer than there are
    int& left = free_[rank];
    left += held.count - count;
    held.count = count;
    if (left < 0 && !fewer) owed_ = where;
  }
  /// At the end, every request must have been met by what others gave back.
  void leave(const Block& block, int thread) const {
    for (const Held& held : held_)
      if (held.asked > 0) return;  // a warpgroup is mid-request: who leaves after it looks
    if (!free_.empty() && block.live(block.rank_of(thread)) == 0 &&
        free_[static_cast<std::size_t>(block.rank_of(thread))] < 0)
      block.fault_of(thread,
                     concat("more_registers takes more than the block has: ",
                            -free_[static_cast<std::size_t>(block.rank_of(thread))], " a thread are missing"),
                     owed_);
  }

 private:
  struct Held {
    int count, asked;
  };
  int entry_ = 0;
  Site owed_;
  std::vector<Held> held_;
  std::vector<int> free_;
};

/// cp.async of every thread: bytes on their way to shared memory, and groups of them.
class ThreadCopies {
 public:
  void copy16(Block& block, void* to, const void* from, int bytes, Site where) {
    SharedMemory& shared = block.shared_memory();
    if (!shared.contains(to)) block.fault("ptx::copy16 to what isn't shared memory", where);
    if (bytes < 0 || bytes > 16) block.fault(concat("ptx::copy16 of ", bytes, " bytes"), where);
    Copy copy{shared.offset(to), {}, where};
    if (bytes > 0) {
      if (const auto why = access_fault(block.allocations(), from, static_cast<std::size_t>(bytes), 1, Access::read);
          !why.empty())
        block.fault(why, where);
      std::memcpy(copy.data.data(), from, static_cast<std::size_t>(bytes));
    }
    if (reinterpret_cast<std::uintptr_t>(from) % 16 != 0)
      block.fault("ptx::copy16: an address isn't aligned to 16", where);
    if (const auto why = shared.access_fault(to, 16, 16, Access::write, block.current(), where); !why.empty())
      block.fault(why, where);
    std::memset(to, 0xff, 16);
    std::memset(shared.written(shared.offset(to)), 0, 16);
    auto& piece = shared.pieces().at(copy.to);
    piece.copier = static_cast<std::int16_t>(block.current());
    piece.write_site = shared.pieces().site(where);
    of_[block.current()].open.push_back(copy);
  }
  void commit(Block& block) {
    Copies& mine = of_[block.current()];
    mine.groups.push_back(std::move(mine.open));
    mine.open.clear();
  }
  void wait(Block& block, std::size_t pending) {
    Copies& mine = of_[block.current()];
    while (mine.groups.size() > pending) {
      for (const Copy& copy : mine.groups.front()) land(block, copy);
      mine.groups.erase(mine.groups.begin());
    }
  }
  /// When all copies of the running thread so far have come, it arrives at the mbarrier.
  void arrive_after(Block& block, MBarriers& mbarriers, std::size_t at, Site where) {
    Copies& mine = of_[block.current()];
    std::vector<Copy> all = std::move(mine.open);
    mine.open.clear();
    for (const auto& group : mine.groups) all.insert(all.end(), group.begin(), group.end());
    mine.groups.clear();
    Sight sight;
    block.shared_memory().clocks().release(block.current(), sight);
    block.defer(
        [&block, &mbarriers, all = std::move(all), sight = std::move(sight), at, thread = block.current(), where] {
          for (const Copy& copy : all) put(block, copy);
          mbarriers.arrive_later(block, at, sight, thread, where);
        });
  }

 private:
  struct Copy {
    std::size_t to;
    std::array<std::byte, 16> data;
    Site where;
  };
  struct Copies {
    std::vector<Copy> open;
    std::vector<std::vector<Copy>> groups;
  };
  static void land(Block& block, const Copy& copy) {
    put(block, copy);
    SharedMemory& shared = block.shared_memory();
    if (const auto why =
            shared.access_fault(shared.base() + copy.to, 16, 16, Access::write, block.current(), copy.where);
        !why.empty())
      block.fault(why, copy.where);
  }
  static void put(Block& block, const Copy& copy) {
    SharedMemory& shared = block.shared_memory();
    shared.pieces().at(copy.to).copier = -1;
    std::memcpy(shared.base() + copy.to, copy.data.data(), 16);
    std::memset(shared.written(copy.to), 1, 16);
  }
  std::map<int, Copies> of_;
};

struct Engines {
  explicit Engines(Block& block) : block_(block), warpgroups_(static_cast<std::size_t>(block.all_threads()) / 128) {}

  MBarriers mbarriers;
  CopyEngine copies{mbarriers};
  ThreadCopies thread_copies;
  ClusterBarrier cluster;
  RegisterPool registers;

  /// That of the running thread.
  Warpgroup& warpgroup(Site where) {
    const int first = block_.current() / 128 * 128;
    if (block_.threads() % 128 != 0) block_.fault("wgmma takes blocks of whole warpgroups: 128 threads", where);
    auto& found = warpgroups_[static_cast<std::size_t>(first) / 128];
    if (!found) found = std::make_unique<Warpgroup>(block_, first);
    return *found;
  }

  void leave(const Block& block, int thread) const {
    copies.leave(block, thread);
    cluster.leave(block, thread);
    registers.leave(block, thread);
    if (static_cast<std::size_t>(thread) / 128 < warpgroups_.size())
      if (const auto& warpgroup = warpgroups_[static_cast<std::size_t>(thread) / 128]) warpgroup->leave(thread);
  }

 private:
  Block& block_;
  std::vector<std::unique_ptr<Warpgroup>> warpgroups_;
};

inline std::string MBarriers::reason(const Block& block, int thread) {
  for (const auto& [at, barrier] : block.engines_if_any()->mbarriers.table_)
    for (const auto& waiter : barrier.waiting)
      if (waiter.thread == thread) {
        const auto last = barrier.waited_for.find(thread);
        const bool missed = last != barrier.waited_for.end() && last->second + 2 < std::int64_t{barrier.ended};
        return concat("at the mbarrier made at ", barrier.where, " for parity ", waiter.parity, ": of its phase ",
                      barrier.ended, " ", barrier.pending, " arrivals and ", barrier.bytes, " bytes are missing",
                      missed
                          ? concat("; it waited last for phase ", last->second, ": did it come too late for the next?")
                          : std::string());
      }
  return "at an mbarrier";
}

}  // namespace ashlar::inline v0::simt::detail
