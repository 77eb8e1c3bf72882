// The threads of a block, or of the blocks of a cluster, which live together, on fibers: the scheduler, the barriers,
// and the report of a deadlock. Threads are numbered through the cluster: of block `rank` from rank * threads() on.
// Read next: emulator/warp.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "ashlar/core/shape.hpp"
#include "ashlar/emulator/fault.hpp"
#include "ashlar/emulator/fiber.hpp"
#include "ashlar/emulator/global_memory.hpp"
#include "ashlar/emulator/global_races.hpp"
#include "ashlar/emulator/schedule.hpp"
#include "ashlar/emulator/shared_memory.hpp"

namespace ashlar::inline v0::simt::detail {

/// A set of thread numbers of a cluster.
class ThreadSet {
 public:
  static constexpr int capacity = 4096;

  void insert(int t) {
    words_[word_of(t)] |= bit(t);
    used_ = std::max(used_, word_of(t) + 1);
  }
  void insert_lanes(int first, unsigned mask) {
    words_[word_of(first)] |= std::uint64_t{mask} << (first % 64);
    used_ = std::max(used_, word_of(first) + 1);
  }
  void erase(int t) { words_[word_of(t)] &= ~bit(t); }
  bool contains(int t) const { return words_[word_of(t)] & bit(t); }
  /// The first member at or after t, going round; -1 if there is none.
  int next(int t) const {
    std::size_t w = word_of(t);
    std::uint64_t from = ~(bit(t) - 1);
    for (std::size_t i = 0; i <= used_; ++i, ++w, from = ~std::uint64_t{0}) {
      if (w >= used_) w = 0, from = i == 0 ? 0 : from;
      if (const auto word = words_[w] & from) return static_cast<int>(w * 64) + std::countr_zero(word);
    }
    return -1;
  }
  /// The last member; -1 if there is none.
  int last() const {
    for (std::size_t w = used_; w-- > 0;)
      if (const auto word = words_[w]) return static_cast<int>(w * 64) + 63 - std::countl_zero(word);
    return -1;
  }
  /// The last member before t; -1 if there is none.
  int last_below(int t) const {
    for (--t; t >= 0; --t)
      if (contains(t)) return t;
    return -1;
  }
  /// Calls f(t) for every member, in order.
  template <class F>
  void for_each(F&& f) const {
    for (std::size_t w = 0; w < used_; ++w)
      for (auto word = words_[w]; word; word &= word - 1) f(static_cast<int>(w * 64) + std::countr_zero(word));
  }

 private:
  static std::size_t word_of(int t) { return static_cast<std::size_t>(t) / 64; }
  static std::uint64_t bit(int t) { return std::uint64_t{1} << (t % 64); }
  std::size_t used_ = 0;  // words that have had a member
  std::array<std::uint64_t, capacity / 64> words_ = {};
};

/// What is the same for all blocks of a launch.
struct Launch {
  std::string (*kernel_name)();
  int threads = 0;  // of a block
  int blocks = 1;   // of a cluster
  void* shared = nullptr;
  std::size_t shared_bytes = 0;  // of a block; the next block's follow
  bool programmatic = false;
  std::uint64_t number = 0, before = 0;  // of this launch, and of the one before it by this host thread
};

/// Numbers of launches, over all host threads.
inline std::uint64_t next_launch() {
  static std::atomic<std::uint64_t> last = 0;
  return ++last;
}
inline std::uint64_t& launch_before() {
  thread_local std::uint64_t number = 0;
  return number;
}

/// Thrown through the threads of a block that another thread's fault brings down. Not for kernels to catch.
struct Unwinding {};

class Warp;
struct Engines;  // what works beside the threads: emulator/engines.hpp

class Block {
 public:
  using Body = void (*)(void* context, Block& block, int thread);
  /// What a waiting thread waits for, in words.
  using Reason = std::string (*)(const Block& block, int thread);

  explicit Block(const Launch& launch);
  ~Block();
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  /// Runs block (x, y, z), and those beside it in its cluster, to the end. Throws what a thread threw first, after
  /// unwinding the others.
  void run(index_t x, index_t y, index_t z, Body body, void* context);

  int threads() const { return launch_.threads; }
  int blocks() const { return launch_.blocks; }
  int all_threads() const { return launch_.threads * launch_.blocks; }
  int rank_of(int thread) const { return thread / launch_.threads; }
  int rank() const { return rank_of(current_); }
  /// The lane that ptx::elect chooses in a warp.
  int elected(int warp) const { return elected_[static_cast<std::size_t>(warp)]; }
  /// Threads of block `rank` that have not exited.
  int live(int rank) const { return rank_[static_cast<std::size_t>(rank)].live; }
  index_t x() const { return at_[0]; }
  index_t y() const { return at_[1]; }
  index_t z() const { return at_[2]; }
  int current() const { return current_; }

  Warp& warp_of(int thread);
  const Warp& warp_of(int thread) const;
  SharedMemory& shared_memory() { return shared_; }
  const SharedMemory& shared_memory() const { return shared_; }
  AllocationCache& allocations() { return allocations_; }
  /// Made when first asked for: kernels that use none of them pay nothing.
  Engines& engines();
  const Engines* engines_if_any() const { return engines_.get(); }

  /// Puts an access of the calling thread to global memory on record; faults if it races with an earlier one of the
  /// launch. `same_value`: a store of what is there already.
  void check_global_race(const void* p, std::size_t bytes, Access access, bool same_value, Site where);
  /// The same for the copy engine's stores, known by 16 bytes and among themselves; `now` is when they were started.
  void check_bulk_race(const void* p, std::size_t bytes, const Touch& now, bool same_value);
  /// An access of the calling thread to global memory, for the rule of programmatic launches: one that may have begun
  /// before the launch before it ended must wait (ptx::wait_previous_launch) before it touches what that one wrote.
  void note_global(Allocation& allocation, Access access, Site where);
  void wait_previous_launch() { thread_[static_cast<std::size_t>(current_)].waited = true; }
  /// An access of the calling thread, as races know it.
  Touch touch(Access access, Site where) const;

  /// The distance between the shared memories of a cluster's blocks.
  std::size_t shared_stride() const { return std::max<std::size_t>(launch_.shared_bytes, 1); }
  /// The calling thread reaches the shared memory of block `rank` of the cluster: faults if it has ended, or may have.
  void reach(int rank, Site where);

  /// Puts the calling thread to sleep until wake(); `reason` is what a deadlock report says about it.
  void wait(Reason reason, Site where);
  void wake(int thread) { ready_.insert(thread); }
  /// wake() for the lanes of `mask` of the warp whose first thread is `first`.
  void wake_lanes(int first, unsigned mask) { ready_.insert_lanes(first, mask); }

  /// An access to p is coming: a place where another thread may run. It does once in `n` times under the random
  /// schedule, and under every schedule when this one has run for long, for it may be spinning.
  void preempt(const void* p, unsigned n, Site where) {
    Thread& thread = thread_[static_cast<std::size_t>(current_)];
    thread.spins = p == thread.last_address ? thread.spins + 1 : 0;
    thread.last_address = p;
    if (++steps_ >= most_steps || schedule_state().one_in(n)) let_others_run(thread, where);
  }

  /// As wait(), but when nothing else can happen the thread goes on, and gets false.
  bool wait_a_while(Reason reason, Site where);

  /// Puts off work that no thread does: it happens when the schedule says so, at the latest when no thread can run.
  void defer(std::function<void()> work) { deferred_.push_back(std::move(work)); }

  /// Barrier `id` for `count` threads, of which the calling one waits, or only arrives. Id 0 is the whole block's.
  void barrier(int id, int count, bool waits, Site where);

  /// Throws Fault with the place of the calling thread.
  [[noreturn]] void fault(const std::string& what, Site where) const;
  /// The same for what thread `thread` had begun.
  [[noreturn]] void fault_of(int thread, const std::string& what, Site where) const;
  /// "thread 5", "thread 5 of block 1 of the cluster".
  std::string name_of(int thread) const;

 private:
  struct Thread {
    Fiber fiber;
    Block* block = nullptr;
    int number = 0;

    Reason reason = nullptr;  // set while it waits
    Site where;
    const void* last_address = nullptr;
    int spins = 0;        // accesses of last_address in a row
    bool waited = false;  // for the launch before
  };
  struct Barrier {
    int expected = 0, arrived = 0, not_waiting = 0;
    Site first;
    ThreadSet waiting;
    Sight sight;  // of those that arrived and went on
  };
  /// A block of the cluster.
  struct Rank {
    int live = 0;                     // threads that have not exited
    unsigned barriers_open = 0;       // at which threads wait
    std::map<int, Touch> reached_by;  // threads of other blocks, and when they last did
    std::array<Barrier, 16> barrier;
  };
  static constexpr int most_steps = 1 << 12;  // accesses without a switch
  static constexpr int most_spins = 1 << 20;  // a livelock, if no schedule ends it

  static void thread_main(void* argument);
  static std::string at_barrier(const Block& block, int thread);
  void leave(Thread& thread);
  void suspend(Thread& thread);
  void let_others_run(Thread& thread, Site where);
  int pick();
  bool deliver(bool idle);
  bool end_waits_for_a_while();
  std::string waiting_threads() const;
  std::string race(const void* p, const Touch& now, const Touch& earlier) const;
  std::string kernel_and_block() const;
  void unwind();

  const Launch launch_;
  std::array<index_t, 3> at_ = {};
  Body body_ = nullptr;
  void* context_ = nullptr;
  std::vector<Thread> thread_;
  std::vector<Warp> warp_;
  std::vector<Rank> rank_;
  std::vector<int> elected_;  // of each warp
  ThreadSet ready_, for_a_while_;
  std::vector<std::function<void()>> deferred_;
  int idle_ends_ = 0;            // how often waits for a while ended, and nothing else happened
  int live_ = 0, current_ = -1;  // live: not exited, of all blocks
  int steps_ = 0, starved_ = -1;
  bool unwinding_ = false;
  std::exception_ptr error_;
  SharedMemory shared_;
  AllocationCache allocations_;
  GlobalRaces global_races_, bulk_races_;
  std::uint32_t serial_ = 0;  // of the block or cluster in its launch, from 1
  std::unique_ptr<Engines> engines_;
};

/// The block whose thread runs now on this host thread; null outside of kernels.
inline constinit thread_local Block* running_block = nullptr;

}  // namespace ashlar::inline v0::simt::detail
