// Data races: two threads that touch the same element, one of them writing, with nothing between that orders them. What
// orders threads is kept in clocks.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "ashlar/emulator/global_memory.hpp"

namespace ashlar::inline v0::simt::detail {

/// Up to which clock of each agent something has been seen.
using Sight = std::vector<std::uint32_t>;

/// Who has seen whom. Every thread has a clock that ticks when it synchronises with part of the block; a barrier of the
/// whole block begins a new epoch, before which everything is ordered. What works beside the threads (copies, products)
/// has clocks, too: those of agents, that know nothing and are seen by who waited for them, whatever the epoch.
class Clocks {
 public:
  explicit Clocks(int threads) : threads_(static_cast<std::size_t>(threads)), columns_(threads_), clock_(threads_, 1) {}

  std::uint32_t epoch() const { return epoch_; }
  std::uint32_t of(int t) const { return clock_[static_cast<std::size_t>(t)]; }
  std::uint32_t tick(int t) { return clock_[static_cast<std::size_t>(t)]++; }

  /// Whether what thread `other` did in `epoch` at `clock` is visible to thread t.
  bool seen(int t, int other, std::uint32_t epoch, std::uint32_t clock) const {
    if (t == other || epoch != epoch_) return true;
    return !known_.empty() && known(t, other) >= clock;
  }
  void whole_block_met() {
    ++epoch_;
    if (agents_ == 0) return;
    joined_.assign(columns_, 0);
    for (int t = 0; t < static_cast<int>(threads_); ++t) raise(joined_.data(), &known(t, 0), threads_, columns_);
    for (int t = 0; t < static_cast<int>(threads_); ++t)
      std::copy(joined_.begin() + static_cast<std::ptrdiff_t>(threads_), joined_.end(),
                &known(t, static_cast<int>(threads_)));
  }
  /// Some of the threads first to last - 1 met at a barrier of their own. `for_each` calls its argument with the number
  /// of each. While only warps meet, no thread has seen more than its warp.
  template <class ForEach>
  void met(int first, int last, ForEach&& for_each) {
    if (known_.empty()) known_.resize(threads_ * columns_);
    wide_ = wide_ || last - first > 32;
    if (wide_) first = 0, last = static_cast<int>(columns_);
    joined_.assign(columns_, 0);
    const auto low = static_cast<std::size_t>(first), high = static_cast<std::size_t>(last);
    for_each([&](int t) { raise(joined_.data(), &known(t, 0), low, high); });
    for_each([&](int t) { joined_[static_cast<std::size_t>(t)] = tick(t); });
    for_each([&](int t) { std::copy(joined_.begin() + first, joined_.begin() + last, &known(t, first)); });
  }

  /// A new agent's number, above those of threads. It is gone when the next block begins.
  int add_agent() {
    wide_ = true;
    if (threads_ + agents_ == columns_) widen(columns_ + std::max<std::size_t>(64, agents_));
    if (known_.empty()) known_.resize(threads_ * columns_);
    return static_cast<int>(threads_ + agents_++);
  }
  bool seen_agent(int t, int agent, std::uint32_t clock) const { return known(t, agent) >= clock; }
  /// Thread t has waited for the agent's work up to `clock`.
  void saw_agent(int t, int agent, std::uint32_t clock) { known(t, agent) = std::max(known(t, agent), clock); }
  /// What thread t did and saw until now is in `sight`.
  void release(int t, Sight& sight) {
    wide_ = true;
    if (known_.empty()) known_.resize(threads_ * columns_);
    sight.resize(columns_);
    raise(sight.data(), &known(t, 0), 0, columns_);
    sight[static_cast<std::size_t>(t)] = tick(t);
  }
  /// Thread t sees what was put into `sight`.
  void acquire(int t, const Sight& sight) {
    if (!known_.empty()) raise(&known(t, 0), sight.data(), 0, std::min(columns_, sight.size()));
  }

  void begin_block() {
    for (std::size_t t = 0; agents_ > 0 && t < threads_; ++t)
      std::fill_n(known_.begin() + static_cast<std::ptrdiff_t>(t * columns_ + threads_), columns_ - threads_, 0u);
    agents_ = 0;
    ++epoch_;
  }

 private:
  static void raise(std::uint32_t* to, const std::uint32_t* from, std::size_t low, std::size_t high) {
    for (std::size_t u = low; u < high; ++u) to[u] = std::max(to[u], from[u]);
  }
  void widen(std::size_t columns) {
    std::vector<std::uint32_t> wider(threads_ * columns);
    for (std::size_t t = 0; !known_.empty() && t < threads_; ++t)
      std::copy_n(known_.begin() + static_cast<std::ptrdiff_t>(t * columns_), columns_,
                  wider.begin() + static_cast<std::ptrdiff_t>(t * columns));
    known_.swap(wider);
    columns_ = columns;
  }
  std::uint32_t& known(int t, int u) {
    return known_[static_cast<std::size_t>(t) * columns_ + static_cast<std::size_t>(u)];
  }
  std::uint32_t known(int t, int u) const {
    return known_[static_cast<std::size_t>(t) * columns_ + static_cast<std::size_t>(u)];
  }

  std::size_t threads_, columns_, agents_ = 0;  // columns: threads, then agents
  bool wide_ = false;
  std::uint32_t epoch_ = 1;
  std::vector<std::uint32_t> clock_;
  std::vector<std::uint32_t> known_;  // [t][u]: the clock of u up to which t has seen it; empty until first needed
  std::vector<std::uint32_t> joined_;
};

/// One access of one thread.
struct Touch {
  std::uint32_t block, epoch, clock;  // block 0: no touch
  std::int16_t thread;
  Access access;
  Site where;
};

/// What is remembered of an element: the last write and the last reads by two threads.
struct TouchedElement {
  Touch write, read[2];

  /// Puts `now` on record; returns the earlier touch that it races with, or null. `unordered` tells whether `now` may
  /// come before a touch. Atomics don't race with atomics, nor a write of the value that is there (`same_value`)
  /// with the write before.
  template <class Unordered>
  const Touch* touch(const Touch& now, Unordered&& unordered, bool same_value = false) {
    const bool harmless = now.access == write.access && (now.access == Access::update || same_value);
    if (!harmless && unordered(write)) return &write;
    if (now.access == Access::read) {
      read[read[0].thread != now.thread && unordered(read[0]) ? 1 : 0] = now;
      return nullptr;
    }
    for (const Touch& earlier : read)
      if (unordered(earlier)) return &earlier;
    write = now;
    return nullptr;
  }
};

}  // namespace ashlar::inline v0::simt::detail
