// What a result of wgmma holds until it has been waited for: a NaN that nothing else has. Arithmetic hands it on, so it
// is found where it leaves a thread.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "ashlar/core/dtype.hpp"
#include "ashlar/emulator/block.hpp"

namespace ashlar::inline v0::simt::detail {

inline constexpr std::uint32_t poison_bits = 0x7fe5a5a5u;
/// Whether these bits are the poison, or were made of it by arithmetic (which may turn the sign).
inline bool is_poison(std::uint32_t bits) {
  return (bits & 0x7fffffffu) == poison_bits;
}

/// Faults if a value that leaves the running thread is, or has in it, a number that wgmma has not yet brought.
template <class T>
const T& arrived(const T& value, Site where) {
  bool poisoned = false;
  if constexpr (std::is_same_v<T, bf16>) {
    poisoned = (value.bits & 0x7fffu) == poison_bits >> 16;
  } else if constexpr (sizeof(T) % sizeof(std::uint32_t) == 0) {
    for (std::size_t i = 0; i < sizeof(T); i += sizeof(std::uint32_t)) {
      std::uint32_t word;
      std::memcpy(&word, reinterpret_cast<const char*>(&value) + i, sizeof(word));
      poisoned = poisoned || is_poison(word);
    }
  }
  if (poisoned && running_block)
    running_block->fault("accumulator touched in flight: a number is read before the wgmma_wait that brings it", where);
  return value;
}

}  // namespace ashlar::inline v0::simt::detail
