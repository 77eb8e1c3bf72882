// Data races: two threads that touch the same element, one of them writing, with nothing between that orders them. What
// orders threads is kept in clocks. Used by simt/shared_memory.hpp and simt/global_races.hpp.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "simt/global_memory.hpp"

namespace ashlar::inline v0::simt::detail {

/// Who has seen whom. Every thread has a clock that ticks when it synchronises with part of the block; a barrier of the
/// whole block begins a new epoch, before which everything is ordered.
class Clocks {
 public:
  explicit Clocks(int threads) : threads_(static_cast<std::size_t>(threads)), clock_(threads_, 1) {}

  std::uint32_t epoch() const { return epoch_; }
  std::uint32_t of(int t) const { return clock_[static_cast<std::size_t>(t)]; }

  /// Whether what thread `other` did in `epoch` at `clock` is visible to thread t.
  bool seen(int t, int other, std::uint32_t epoch, std::uint32_t clock) const {
    if (t == other || epoch != epoch_) return true;
    return !known_.empty() && known(t, other) >= clock;
  }
  void whole_block_met() { ++epoch_; }
  /// Some of the threads first to last - 1 met at a barrier of their own. `for_each` calls its argument with the number
  /// of each. While only warps meet, no thread has seen more than its warp.
  template <class ForEach>
  void met(int first, int last, ForEach&& for_each) {
    if (known_.empty()) known_.resize(threads_ * threads_);
    wide_ = wide_ || last - first > 32;
    if (wide_) first = 0, last = static_cast<int>(threads_);
    joined_.assign(threads_, 0);
    for_each([&](int t) {
      const std::uint32_t* seen_by_t = &known(t, 0);
      for (auto u = static_cast<std::size_t>(first); u < static_cast<std::size_t>(last); ++u)
        joined_[u] = std::max(joined_[u], seen_by_t[u]);
    });
    for_each([&](int t) { joined_[static_cast<std::size_t>(t)] = clock_[static_cast<std::size_t>(t)]++; });
    for_each([&](int t) { std::copy(joined_.begin() + first, joined_.begin() + last, &known(t, first)); });
  }

 private:
  std::uint32_t& known(int t, int u) {
    return known_[static_cast<std::size_t>(t) * threads_ + static_cast<std::size_t>(u)];
  }
  std::uint32_t known(int t, int u) const {
    return known_[static_cast<std::size_t>(t) * threads_ + static_cast<std::size_t>(u)];
  }

  std::size_t threads_;
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
  /// come /// before a touch. Atomics don't race with atomics, nor a write of the value that is there (`same_value`)
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
