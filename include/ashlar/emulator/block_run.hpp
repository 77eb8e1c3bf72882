// How a block runs: the definitions of emulator/block.hpp.
#pragma once

#include <utility>

#include "ashlar/emulator/block.hpp"
#include "ashlar/emulator/engines.hpp"
#include "ashlar/emulator/warp.hpp"

namespace ashlar::inline v0::simt::detail {

inline Block::Block(const Launch& launch)
    : launch_(launch),
      thread_(static_cast<std::size_t>(all_threads())),
      warp_(static_cast<std::size_t>(all_threads()) / 32),
      rank_(static_cast<std::size_t>(launch.blocks)),
      shared_(launch.shared, launch.shared_bytes * static_cast<std::size_t>(launch.blocks), all_threads()) {
  if (all_threads() > ThreadSet::capacity)
    throw Fault(concat("clusters of ", all_threads(), " threads are more than the emulator has"));
  for (int t = 0; t < all_threads(); ++t) {
    thread_[static_cast<std::size_t>(t)].block = this;
    thread_[static_cast<std::size_t>(t)].number = t;
  }
}

inline Block::~Block() = default;

inline Warp& Block::warp_of(int thread) {
  return warp_[static_cast<std::size_t>(thread) / 32];
}
inline const Warp& Block::warp_of(int thread) const {
  return warp_[static_cast<std::size_t>(thread) / 32];
}

inline void Block::run(index_t x, index_t y, index_t z, Body body, void* context) {
  at_ = {x, y, z};
  body_ = body;
  context_ = context;
  for (Rank& rank : rank_) rank.barriers_open = 0, rank.live = threads(), rank.reached_by.clear();
  elected_.assign(warp_.size(), schedule_state().mode == Schedule::adversarial ? 31 : 0);
  if (schedule_state().mode == Schedule::random)
    for (int& lane : elected_) lane = static_cast<int>(schedule_state().random() % 32);
  engines_.reset();
  deferred_.clear();
  for_a_while_ = {};
  idle_ends_ = 0;
  for (Warp& warp : warp_) warp.begin_block();
  shared_.begin_block();
  for (Thread& thread : thread_) {
    thread.reason = nullptr;
    thread.last_address = nullptr;
    thread.waited = false;
    ready_.insert(thread.number);
  }
  live_ = all_threads();
  current_ = -1;
  starved_ = -1;
  ++serial_;

  running_block = this;
  while (live_ > 0 && !error_) {
    try {
      if (deliver(false)) idle_ends_ = 0;
      current_ = pick();
      if (current_ < 0) {
        if (deliver(true) || end_waits_for_a_while()) continue;
        throw Fault(concat("deadlock: ", kernel_and_block(), ": ", live_, " of ", all_threads(),
                           " threads wait and none can run", waiting_threads()));
      }
    } catch (...) {
      error_ = std::current_exception();
      break;
    }
    Thread& thread = thread_[static_cast<std::size_t>(current_)];
    steps_ = 0;
    try {
      if (!thread.fiber.active()) thread.fiber.start(&Block::thread_main, &thread);
    } catch (...) {
      error_ = std::current_exception();  // no memory for another stack
      break;
    }
    thread.fiber.resume();
  }
  try {
    while (!error_ && deliver(true)) {}
  } catch (...) {
    error_ = std::current_exception();
  }
  if (error_) unwind();
  running_block = nullptr;
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

/// On the fiber. Nothing may be thrown out of it.
inline void Block::thread_main(void* argument) {
  Thread& thread = *static_cast<Thread*>(argument);
  Block& block = *thread.block;
  try {
    block.body_(block.context_, block, thread.number);
    block.leave(thread);
  } catch (const Unwinding&) {
  } catch (...) {
    if (!block.error_) block.error_ = std::current_exception();
  }
  block.ready_.erase(thread.number);
}

/// The thread's kernel returned: nobody may be waiting for it.
inline void Block::leave(Thread& thread) {
  Rank& rank = rank_[static_cast<std::size_t>(rank_of(thread.number))];
  --live_, --rank.live;
  warp_of(thread.number).leave(*this, thread.number % 32);
  for (unsigned rest = rank.barriers_open; rest; rest &= rest - 1) {
    const int id = std::countr_zero(rest);
    const Barrier& barrier = rank.barrier[static_cast<std::size_t>(id)];
    if (rank.live + barrier.not_waiting < barrier.expected)
      fault(concat("the thread exited while ", barrier.arrived, " threads wait at barrier ", id, " for ",
                   barrier.expected, waiting_threads()),
            barrier.first);
  }
  if (rank.live == 0)
    for (const auto& [other, touch] : rank.reached_by)
      if (!shared_.clocks().seen(thread.number, other, touch.epoch, touch.clock))
        fault(concat("the block leaves its cluster early: ", name_of(other), " reaches its shared memory at ",
                     touch.where, ", and nothing says that this is over; end with ptx::cluster_sync"),
              touch.where);
  if (engines_) engines_->leave(*this, thread.number);
}

/// Work that was put off may happen now; whether some did. Loads and stores of the copy engine are in no order.
inline bool Block::deliver(bool idle) {
  if (deferred_.empty()) return false;
  auto& schedule = schedule_state();
  std::size_t which = 0;  // the oldest
  if (schedule.mode == Schedule::random) {
    if (!idle && schedule.random() % 8 != 0) return false;
    which = schedule.random() % deferred_.size();
  } else if (schedule.mode == Schedule::adversarial) {
    if (!idle) return false;
    which = deferred_.size() - 1;
  }
  const auto work = std::move(deferred_[which]);
  deferred_.erase(deferred_.begin() + static_cast<std::ptrdiff_t>(which));
  work();
  return true;
}

inline bool Block::wait_a_while(Reason reason, Site where) {
  const int thread = current_;
  for_a_while_.insert(thread);
  wait(reason, where);
  const bool ended = !for_a_while_.contains(thread);
  for_a_while_.erase(thread);
  return !ended;
}

inline bool Block::end_waits_for_a_while() {
  bool any = false;
  if (++idle_ends_ > 1000) return false;
  for_a_while_.for_each([&](int t) { wake(t), any = true; });
  for_a_while_ = {};
  return any;
}

inline Engines& Block::engines() {
  if (!engines_) engines_ = std::make_unique<Engines>(*this);
  return *engines_;
}

/// Switches to the scheduler; returns when it picks this thread again.
inline void Block::suspend(Thread& thread) {
  thread.fiber.suspend();
  if (unwinding_) throw Unwinding{};
}

inline void Block::wait(Reason reason, Site where) {
  Thread& thread = thread_[static_cast<std::size_t>(current_)];
  thread.reason = reason;
  thread.where = where;
  ready_.erase(thread.number);
  suspend(thread);
  thread.reason = nullptr;
}

inline void Block::let_others_run(Thread& thread, Site where) {
  if (thread.spins >= most_spins)
    fault(concat("livelock: the thread spins at one address, and no thread's turn ends it", waiting_threads()), where);
  starved_ = steps_ >= most_steps ? current_ : -1;
  suspend(thread);
}

inline int Block::pick() {
  auto& schedule = schedule_state();
  switch (schedule.mode) {
    case Schedule::round_robin: return ready_.next((current_ + 1) % all_threads());
    case Schedule::random:
      return ready_.next(static_cast<int>(schedule.random() % static_cast<unsigned>(all_threads())));
    case Schedule::adversarial: {
      if (starved_ < 0) return ready_.last();
      // The last thread spins: let each of the others have its turn, downwards.
      const int spinner = std::exchange(starved_, -1);
      const int below = ready_.last_below(spinner);
      return below >= 0 ? below : ready_.last();
    }
  }
  return -1;
}

inline void Block::barrier(int id, int count, bool waits, Site where) {
  const Thread& thread = thread_[static_cast<std::size_t>(current_)];
  Rank& rank = rank_[static_cast<std::size_t>(rank_of(thread.number))];
  if (id < 0 || id > 15) fault(concat("barrier id ", id, " isn't in 0 to 15"), where);
  if (count <= 0 || count % 32 != 0 || count > threads())
    fault(concat("barrier ", id, " for ", count, " threads: the count must be a multiple of 32, at most the block's ",
                 threads()),
          where);
  Barrier& barrier = rank.barrier[static_cast<std::size_t>(id)];
  if (!(rank.barriers_open >> id & 1u)) {
    rank.barriers_open |= 1u << id;
    barrier = {};
    barrier.expected = count;
    barrier.first = where;
  }
  if (rank.live + barrier.not_waiting < count)
    fault(concat("barrier ", id, " for ", count, " threads, but only ", rank.live, " have not exited"), where);
  if (barrier.expected != count)
    fault(concat("barrier ", id, " for ", count, " threads, but threads wait at it for ", barrier.expected, " (at ",
                 barrier.first, ")"),
          where);
  if (id == 0 && !(barrier.first == where))
    fault(concat("divergent barrier: ", barrier.arrived, " threads wait at the block's barrier at ", barrier.first,
                 ", this one came to another"),
          where);
  if (waits)
    barrier.waiting.insert(thread.number);
  else
    ++barrier.not_waiting, shared_.clocks().release(thread.number, barrier.sight);
  if (++barrier.arrived < count) {
    if (waits) wait(&Block::at_barrier, where);
    return;
  }
  Clocks& clocks = shared_.clocks();
  if (count == all_threads() && barrier.not_waiting == 0) {
    clocks.whole_block_met();
  } else {
    clocks.met(0, all_threads(), [&](auto&& f) { barrier.waiting.for_each(f); });
    if (barrier.not_waiting > 0) barrier.waiting.for_each([&](int t) { clocks.acquire(t, barrier.sight); });
  }
  barrier.waiting.erase(thread.number);
  barrier.waiting.for_each([&](int t) { wake(t); });
  rank.barriers_open &= ~(1u << id);
}

inline Touch Block::touch(Access access, Site where) const {
  const Clocks& clocks = shared_.clocks();
  return {serial_, clocks.epoch(), clocks.of(current_), static_cast<std::int16_t>(current_), access, where};
}
inline void Block::check_global_race(const void* p, std::size_t bytes, Access access, bool same_value, Site where) {
  const Touch now = touch(access, where);
  if (const Touch* earlier = global_races_.touch(p, bytes, now, same_value, shared_.clocks()))
    fault(race(p, now, *earlier), where);
}
inline void Block::check_bulk_race(const void* p, std::size_t bytes, const Touch& now, bool same_value) {
  const auto first = reinterpret_cast<std::uintptr_t>(p) / 16 * 16;
  const std::size_t all = reinterpret_cast<std::uintptr_t>(p) + bytes - first;
  if (const Touch* earlier =
          bulk_races_.touch(reinterpret_cast<const void*>(first), all, now, same_value, shared_.clocks(), 16))
    fault_of(now.thread, race(p, now, *earlier), now.where);
}
inline std::string Block::race(const void* p, const Touch& now, const Touch& earlier) const {
  return concat("race in global memory: ", to_string(now.access), " here, and ", to_string(earlier.access),
                " by thread ", earlier.thread,
                earlier.block == serial_ ? " of this block at " : " of another block at ", earlier.where,
                " with nothing between that orders them; ", GlobalMemory::instance().describe(p));
}

inline void Block::note_global(Allocation& allocation, Access access, Site where) {
  if (launch_.programmatic && !thread_[static_cast<std::size_t>(current_)].waited && launch_.before != 0 &&
      allocation.writer.load(std::memory_order_relaxed) == launch_.before)
    fault(concat(to_string(access), " of global memory that the launch before this one wrote: a programmatic launch ",
                 "calls ptx::wait_previous_launch first"),
          where);
  if (access != Access::read) allocation.writer.store(launch_.number, std::memory_order_relaxed);
}

inline void Block::reach(int rank, Site where) {
  if (rank < 0 || rank >= blocks()) fault(concat("the cluster has no block ", rank), where);
  Rank& there = rank_[static_cast<std::size_t>(rank)];
  if (there.live == 0)
    fault(concat("block ", rank,
                 " of the cluster has ended: it must wait, by ptx::cluster_sync, until nobody reaches it"),
          where);
  there.reached_by[current_] = touch(Access::update, where);
}

inline std::string Block::at_barrier(const Block& block, int thread) {
  const Rank& rank = block.rank_[static_cast<std::size_t>(block.rank_of(thread))];
  for (unsigned rest = rank.barriers_open; rest; rest &= rest - 1) {
    const int id = std::countr_zero(rest);
    if (const Barrier& barrier = rank.barrier[static_cast<std::size_t>(id)]; barrier.waiting.contains(thread))
      return concat("at barrier ", id, ", where ", barrier.arrived, " of ", barrier.expected, " threads are");
  }
  return "at a barrier";
}

inline std::string Block::kernel_and_block() const {
  return concat("kernel ", launch_.kernel_name(), ", block (", at_[0], ", ", at_[1], ", ", at_[2], ")");
}

/// One line for every run of threads that wait in the same way at the same place.
inline std::string Block::waiting_threads() const {
  std::string out, last;
  int first = -1, previous = -1;
  const auto flush = [&] {
    if (first < 0) return;
    out += first == previous ? concat("\n  thread ", first) : concat("\n  threads ", first, " to ", previous);
    out += concat(": ", last);
  };
  for (const Thread& thread : thread_) {
    if (!thread.reason) continue;
    const std::string text = concat(thread.reason(*this, thread.number), " (", thread.where, ")");
    if (text != last || thread.number != previous + 1) {
      flush();
      first = thread.number;
      last = text;
    }
    previous = thread.number;
  }
  flush();
  return out;
}

inline void Block::fault(const std::string& what, Site where) const {
  fault_of(current_, what, where);
}
inline void Block::fault_of(int thread, const std::string& what, Site where) const {
  throw Fault(concat(kernel_and_block(), ", ", name_of(thread), " at ", where, ": ", what));
}
inline std::string Block::name_of(int thread) const {
  if (blocks() == 1) return concat("thread ", thread);
  return concat("thread ", thread % threads(), " of block ", rank_of(thread), " of the cluster");
}

/// Brings the threads that are in the middle of their kernel to an end, so that their objects are destroyed.
inline void Block::unwind() {
  unwinding_ = true;
  for (Thread& thread : thread_) {
    current_ = thread.number;
    while (thread.fiber.active()) thread.fiber.resume();
    ready_.erase(thread.number);
    thread.reason = nullptr;
  }
  unwinding_ = false;
}

}  // namespace ashlar::inline v0::simt::detail
