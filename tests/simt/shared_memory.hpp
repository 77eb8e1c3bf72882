// Checks on the shared memory of a block: reads of bytes that nobody wrote, and data races. A race is two threads that
// touch the same element, one of them writing, with no barrier between; what "between" means is kept in clocks. Used by
// simt/block.hpp (barriers advance the clocks) and simt/shared_array.hpp (accesses).
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "simt/fault.hpp"
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

class SharedMemory {
 public:
  SharedMemory(void* base, std::size_t bytes, int threads)
      : base_(static_cast<std::byte*>(base)),
        bytes_(bytes),
        clocks_(threads),
        written_(bytes),
        cells_(static_cast<Cell*>(std::calloc(std::max<std::size_t>(bytes, 1), sizeof(Cell)))) {
    if (!cells_) throw std::bad_alloc();
  }

  Clocks& clocks() { return clocks_; }
  bool contains(const void* p) const { return p >= base_ && p < base_ + bytes_; }

  /// A block begins: nothing is written, nobody has touched anything.
  void begin_block() {
    std::memset(base_, 0xff, bytes_);
    std::fill(written_.begin(), written_.end(), std::uint8_t{0});
    clocks_.whole_block_met();
    ++block_;
  }

  /// Why thread t can't access the bytes; empty if it can, and then the access is on record.
  std::string access_fault(const void* p, std::size_t bytes, std::size_t alignment, Access access, int t, Site where) {
    const auto offset = static_cast<std::size_t>(static_cast<const std::byte*>(p) - base_);
    if (bytes > bytes_ - offset) return concat(to_string(access), " beyond the end of shared memory");
    if (reinterpret_cast<std::uintptr_t>(p) % alignment != 0)
      return concat("shared memory: the address of the ", to_string(access), " isn't aligned to the type");
    if (access != Access::write && std::memchr(written_.data() + offset, 0, bytes))
      return concat(to_string(access), " of shared memory that was not written since the block began");
    // An element is known by the first byte of it; wide accesses touch every fourth byte.
    for (std::size_t i = 0; i < bytes; i += 4)
      if (auto race = touch(cells_.get()[offset + i], access, t, where); !race.empty()) return race;
    if (access != Access::read) std::memset(written_.data() + offset, 1, bytes);
    return {};
  }

 private:
  struct Touch {
    std::uint32_t block, epoch, clock;  // block 0: no touch
    std::int16_t thread;
    Access access;
    Site where;
  };
  struct Cell {
    Touch write, read[2];  // the last write and the last reads by two threads
  };
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };

  bool unordered(const Touch& before, int t) const {
    return before.block == block_ && !clocks_.seen(t, before.thread, before.epoch, before.clock);
  }
  static std::string race(const Touch& before, Access access, int t) {
    return concat("race in shared memory: ", to_string(access), " by thread ", t, " and ", to_string(before.access),
                  " by thread ", before.thread, " at ", before.where, " with no barrier between");
  }
  std::string touch(Cell& cell, Access access, int t, Site where) {
    const Touch now{block_, clocks_.epoch(), clocks_.of(t), static_cast<std::int16_t>(t), access, where};
    if (unordered(cell.write, t) && !(access == Access::update && cell.write.access == Access::update))
      return race(cell.write, access, t);
    if (access == Access::read) {
      const bool second = cell.read[0].block == block_ && cell.read[0].thread != t && unordered(cell.read[0], t);
      cell.read[second ? 1 : 0] = now;
      return {};
    }
    for (const Touch& read : cell.read)
      if (unordered(read, t)) return race(read, access, t);
    cell.write = now;
    return {};
  }

  std::byte* base_;
  std::size_t bytes_;
  std::uint32_t block_ = 0;
  Clocks clocks_;
  std::vector<std::uint8_t> written_;
  std::unique_ptr<Cell[], Free> cells_;  // one a byte, touched pages only
};

}  // namespace ashlar::inline v0::simt::detail
