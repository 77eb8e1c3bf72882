// Data races in global memory within one launch. Threads of a block are ordered by their barriers; blocks by nothing,
// so an element that one block writes belongs to it, unless all touch it by atomics.
#pragma once

#include <cstdint>
#include <vector>

#include "ashlar/emulator/races.hpp"

namespace ashlar::inline v0::simt::detail {

/// The elements that a launch has touched: a hash table of addresses, open addressing. After `most` elements no more
/// are added, which bounds memory and time; launches of tests rarely touch as many.
class GlobalRaces {
 public:
  static constexpr std::size_t most = std::size_t{1} << 16;

  GlobalRaces() : addresses_(256), elements_(256) {}

  /// Puts an access on record, as that of one element for each `step` bytes: two are the smallest that kernels have.
  /// Returns an earlier access that it races with, or null; it stays valid until the next call.
  const Touch* touch(const void* p, std::size_t bytes, const Touch& now, bool same_value, const Clocks& clocks,
                     std::size_t step = 2) {
    const auto unordered = [&](const Touch& before) {
      if (before.block == 0) return false;
      return before.block != now.block || !clocks.seen(now.thread, before.thread, before.epoch, before.clock);
    };
    for (std::size_t i = 0; i < bytes; i += step)
      if (TouchedElement* element = find(reinterpret_cast<std::uintptr_t>(p) + i))
        if (const Touch* earlier = element->touch(now, unordered, same_value)) return earlier;
    return nullptr;
  }

 private:
  TouchedElement* find(std::uintptr_t address) {
    std::size_t at = slot_of(address);
    if (addresses_[at] != 0) return &elements_[at];
    if (used_ >= most) return nullptr;
    if (++used_ * 2 > addresses_.size()) {
      grow();
      at = slot_of(address);
    }
    addresses_[at] = address;
    return &elements_[at];
  }
  std::size_t slot_of(std::uintptr_t address) const {
    const std::size_t mask = addresses_.size() - 1;
    std::size_t at = (address * 0x9e3779b97f4a7c15u >> 32) & mask;
    while (addresses_[at] != 0 && addresses_[at] != address) at = (at + 1) & mask;
    return at;
  }
  void grow() {
    GlobalRaces larger;
    larger.addresses_.resize(addresses_.size() * 4);
    larger.elements_.resize(addresses_.size() * 4);
    for (std::size_t i = 0; i < addresses_.size(); ++i)
      if (addresses_[i] != 0) {
        const std::size_t at = larger.slot_of(addresses_[i]);
        larger.addresses_[at] = addresses_[i];
        larger.elements_[at] = elements_[i];
      }
    addresses_.swap(larger.addresses_);
    elements_.swap(larger.elements_);
  }

  std::vector<std::uintptr_t> addresses_;  // 0: free; apart from the elements, so that misses stay in the cache
  std::vector<TouchedElement> elements_;
  std::size_t used_ = 0;
};

}  // namespace ashlar::inline v0::simt::detail
