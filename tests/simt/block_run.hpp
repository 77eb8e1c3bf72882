// How a block runs: the definitions of simt/block.hpp.
#pragma once

#include <utility>

#include "simt/block.hpp"
#include "simt/warp.hpp"

namespace ashlar::inline v0::simt::detail {

inline Block::Block(const Launch& launch)
    : launch_(launch),
      thread_(static_cast<std::size_t>(launch.threads)),
      warp_(static_cast<std::size_t>(launch.threads) / 32),
      shared_(launch.shared, launch.shared_bytes, launch.threads) {
  for (int t = 0; t < launch.threads; ++t) {
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
  barriers_open_ = 0;
  for (Warp& warp : warp_) warp.begin_block();
  shared_.begin_block();
  for (Thread& thread : thread_) {
    thread.reason = nullptr;
    thread.last_address = nullptr;
    ready_.insert(thread.number);
  }
  live_ = threads();
  current_ = -1;
  starved_ = -1;
  ++serial_;

  running_block = this;
  while (live_ > 0 && !error_) {
    current_ = pick();
    if (current_ < 0) {
      error_ = std::make_exception_ptr(Fault(concat("deadlock: ", kernel_and_block(), ": ", live_, " of ", threads(),
                                                    " threads wait and none can run", waiting_threads())));
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
  --live_;
  warp_of(thread.number).leave(*this, thread.number % 32);
  for (unsigned rest = barriers_open_; rest; rest &= rest - 1) {
    const int id = std::countr_zero(rest);
    const Barrier& barrier = barrier_[static_cast<std::size_t>(id)];
    if (live_ < barrier.expected)
      fault(concat("the thread exited while ", barrier.arrived, " threads wait at barrier ", id, " for ",
                   barrier.expected, waiting_threads()),
            barrier.first);
  }
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
    case Schedule::round_robin: return ready_.next((current_ + 1) % threads());
    case Schedule::random: return ready_.next(static_cast<int>(schedule.random() % static_cast<unsigned>(threads())));
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

inline void Block::barrier(int id, int count, Site where) {
  const Thread& thread = thread_[static_cast<std::size_t>(current_)];
  if (id < 0 || id > 15) fault(concat("barrier id ", id, " isn't in 0 to 15"), where);
  if (count <= 0 || count % 32 != 0 || count > threads())
    fault(concat("barrier ", id, " for ", count, " threads: the count must be a multiple of 32, at most the block's ",
                 threads()),
          where);
  if (live_ < count)
    fault(concat("barrier ", id, " for ", count, " threads, but only ", live_, " have not exited"), where);

  Barrier& barrier = barrier_[static_cast<std::size_t>(id)];
  if (!(barriers_open_ >> id & 1u)) {
    barriers_open_ |= 1u << id;
    barrier = {};
    barrier.expected = count;
    barrier.first = where;
  }
  if (barrier.expected != count)
    fault(concat("barrier ", id, " for ", count, " threads, but threads wait at it for ", barrier.expected, " (at ",
                 barrier.first, ")"),
          where);
  if (id == 0 && !(barrier.first == where))
    fault(concat("divergent barrier: ", barrier.arrived, " threads wait at the block's barrier at ", barrier.first,
                 ", this one came to another"),
          where);
  barrier.waiting.insert(thread.number);
  if (++barrier.arrived < count) {
    wait(&Block::at_barrier, where);
    return;
  }
  if (count == threads())
    shared_.clocks().whole_block_met();
  else
    shared_.clocks().met(0, threads(), [&](auto&& f) { barrier.waiting.for_each(f); });
  barrier.waiting.erase(thread.number);
  barrier.waiting.for_each([&](int t) { wake(t); });
  barriers_open_ &= ~(1u << id);
}

inline void Block::check_global_race(const void* p, std::size_t bytes, Access access, bool same_value, Site where) {
  const Clocks& clocks = shared_.clocks();
  const Touch now{serial_, clocks.epoch(), clocks.of(current_), static_cast<std::int16_t>(current_), access, where};
  if (const Touch* earlier = global_races_.touch(p, bytes, now, same_value, clocks))
    fault(concat("race in global memory: ", to_string(access), " here, and ", to_string(earlier->access), " by thread ",
                 earlier->thread, earlier->block == serial_ ? " of this block at " : " of another block at ",
                 earlier->where, " with nothing between that orders them; ", GlobalMemory::instance().describe(p)),
          where);
}

inline std::string Block::at_barrier(const Block& block, int thread) {
  for (unsigned rest = block.barriers_open_; rest; rest &= rest - 1) {
    const int id = std::countr_zero(rest);
    if (const Barrier& barrier = block.barrier_[static_cast<std::size_t>(id)]; barrier.waiting.contains(thread))
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
  throw Fault(concat(kernel_and_block(), ", thread ", current_, " at ", where, ": ", what));
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
