// One block of threads on fibers: the scheduler, the block's barriers, and the report of a deadlock.
// Used by simt/warp.hpp (collectives) and simt/simt.hpp (kernels). Read next: simt/warp.hpp.
#pragma once

#include <array>
#include <bit>
#include <exception>
#include <memory>
#include <vector>

#include "ashlar/core/shape.hpp"
#include "simt/fault.hpp"
#include "simt/fiber.hpp"
#include "simt/global_memory.hpp"
#include "simt/global_races.hpp"
#include "simt/schedule.hpp"
#include "simt/shared_memory.hpp"

namespace ashlar::inline v0::simt::detail {

/// A set of thread numbers of a block.
class ThreadSet {
 public:
  static constexpr int capacity = 1024;

  void insert(int t) { words_[static_cast<std::size_t>(t) / 64] |= bit(t); }
  void insert_lanes(int first, unsigned mask) {
    words_[static_cast<std::size_t>(first) / 64] |= std::uint64_t{mask} << (first % 64);
  }
  void erase(int t) { words_[static_cast<std::size_t>(t) / 64] &= ~bit(t); }
  bool contains(int t) const { return words_[static_cast<std::size_t>(t) / 64] & bit(t); }
  /// The first member at or after t, going round; -1 if there is none.
  int next(int t) const {
    for (std::size_t i = 0, w = static_cast<std::size_t>(t) / 64 % 16; i <= 16; ++i, w = (w + 1) % 16) {
      const std::uint64_t from = i == 0 ? ~(bit(t) - 1) : ~std::uint64_t{0};
      if (const auto word = words_[w] & from) return static_cast<int>(w * 64) + std::countr_zero(word);
    }
    return -1;
  }
  /// The last member; -1 if there is none.
  int last() const {
    for (int w = 15; w >= 0; --w)
      if (const auto word = words_[static_cast<std::size_t>(w)]) return w * 64 + 63 - std::countl_zero(word);
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
    for (std::size_t w = 0; w < 16; ++w)
      for (auto word = words_[w]; word; word &= word - 1) f(static_cast<int>(w * 64) + std::countr_zero(word));
  }

 private:
  static std::uint64_t bit(int t) { return std::uint64_t{1} << (t % 64); }
  std::array<std::uint64_t, 16> words_ = {};
};

/// What is the same for all blocks of a launch.
struct Launch {
  std::string (*kernel_name)();
  int threads = 0;
  void* shared = nullptr;
  std::size_t shared_bytes = 0;
};

/// Thrown through the threads of a block that another thread's fault brings down. Not for kernels to catch.
struct Unwinding {};

class Warp;

class Block {
 public:
  using Body = void (*)(void* context, Block& block, int thread);
  /// What a waiting thread waits for, in words.
  using Reason = std::string (*)(const Block& block, int thread);

  explicit Block(const Launch& launch);
  ~Block();
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  /// Runs block (x, y, z) to its end. Throws what its threads threw first, after unwinding the others.
  void run(index_t x, index_t y, index_t z, Body body, void* context);

  int threads() const { return launch_.threads; }
  index_t x() const { return at_[0]; }
  index_t y() const { return at_[1]; }
  index_t z() const { return at_[2]; }
  int current() const { return current_; }

  Warp& warp_of(int thread);
  const Warp& warp_of(int thread) const;
  SharedMemory& shared_memory() { return shared_; }
  AllocationCache& allocations() { return allocations_; }

  /// Puts an access of the calling thread to global memory on record; faults if it races with an earlier one of the
  /// launch. `same_value`: a store of what is there already.
  void check_global_race(const void* p, std::size_t bytes, Access access, bool same_value, Site where);

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

  /// Barrier `id` for `count` threads. Id 0 is the whole block's.
  void barrier(int id, int count, Site where);

  /// Throws Fault with the place of the calling thread.
  [[noreturn]] void fault(const std::string& what, Site where) const;

 private:
  struct Thread {
    Fiber fiber;
    Block* block = nullptr;
    int number = 0;

    Reason reason = nullptr;  // set while it waits
    Site where;
    const void* last_address = nullptr;
    int spins = 0;  // accesses of last_address in a row
  };
  struct Barrier {
    int expected = 0, arrived = 0;
    Site first;
    ThreadSet waiting;
  };
  static constexpr int most_steps = 1 << 12;  // accesses without a switch
  static constexpr int most_spins = 1 << 20;  // a livelock, if no schedule ends it

  static void thread_main(void* argument);
  static std::string at_barrier(const Block& block, int thread);
  void leave(Thread& thread);
  void suspend(Thread& thread);
  void let_others_run(Thread& thread, Site where);
  int pick();
  std::string waiting_threads() const;
  std::string kernel_and_block() const;
  void unwind();

  const Launch launch_;
  std::array<index_t, 3> at_ = {};
  Body body_ = nullptr;
  void* context_ = nullptr;
  std::vector<Thread> thread_;
  std::vector<Warp> warp_;
  std::array<Barrier, 16> barrier_;
  unsigned barriers_open_ = 0;  // at which threads wait
  ThreadSet ready_;
  int live_ = 0, current_ = -1;  // live: not exited
  int steps_ = 0, starved_ = -1;
  bool unwinding_ = false;
  std::exception_ptr error_;
  SharedMemory shared_;
  AllocationCache allocations_;
  GlobalRaces global_races_;
  std::uint32_t serial_ = 0;  // of the block in its launch, from 1
};

/// The block whose thread runs now on this host thread; null outside of kernels.
inline constinit thread_local Block* running_block = nullptr;

}  // namespace ashlar::inline v0::simt::detail
