// Checks on the shared memory of a block: reads of bytes that nobody wrote, and data races. Used by simt/block.hpp
// (barriers advance the clocks) and simt/shared_array.hpp (accesses). Read next: simt/races.hpp.
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
#include "simt/races.hpp"

namespace ashlar::inline v0::simt::detail {

class SharedMemory {
 public:
  SharedMemory(void* base, std::size_t bytes, int threads)
      : base_(static_cast<std::byte*>(base)),
        bytes_(bytes),
        clocks_(threads),
        written_(bytes),
        cells_(static_cast<TouchedElement*>(std::calloc(std::max<std::size_t>(bytes, 1), sizeof(TouchedElement)))) {
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
    // An element is known by the first byte of it; wide accesses touch every second byte, as the smallest elements have
    // two.
    for (std::size_t i = 0; i < bytes; i += 2)
      if (auto race = touch(cells_.get()[offset + i], access, t, where); !race.empty()) return race;
    if (access != Access::read) std::memset(written_.data() + offset, 1, bytes);
    return {};
  }

 private:
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };

  std::string touch(TouchedElement& element, Access access, int t, Site where) {
    const Touch now{block_, clocks_.epoch(), clocks_.of(t), static_cast<std::int16_t>(t), access, where};
    const Touch* earlier = element.touch(now, [&](const Touch& before) {
      return before.block == block_ && !clocks_.seen(t, before.thread, before.epoch, before.clock);
    });
    if (!earlier) return {};
    return concat("race in shared memory: ", to_string(access), " by thread ", t, " and ", to_string(earlier->access),
                  " by thread ", earlier->thread, " at ", earlier->where, " with no barrier between");
  }

  std::byte* base_;
  std::size_t bytes_;
  std::uint32_t block_ = 0;
  Clocks clocks_;
  std::vector<std::uint8_t> written_;
  std::unique_ptr<TouchedElement[], Free> cells_;  // one a byte, touched pages only
};

}  // namespace ashlar::inline v0::simt::detail
