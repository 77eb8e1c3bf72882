// The permutation of 16-byte pieces that keeps rows and columns of a tile in shared memory off one another's banks: the
// copy engine writes by it, wgmma reads by it, and kernels that touch such a tile themselves use it by hand.
#pragma once

#include <cstdint>

#include "ashlar/core/platform.hpp"

namespace ashlar::inline v0 {

/// Named by the bytes of a tile's row. The pattern repeats after 256, 512, 1024 bytes, to which tiles are aligned.
enum class Swizzle : std::uint8_t { none, b32, b64, b128 };

/// Where the byte that belongs at `offset` of a tile lies.
template <Swizzle S>
ASHLAR_HOST_DEVICE constexpr std::uint32_t swizzled(std::uint32_t offset) {
  constexpr std::uint32_t bits = S == Swizzle::b128 ? 7 : S == Swizzle::b64 ? 3 : S == Swizzle::b32 ? 1 : 0;
  return offset ^ ((offset >> 7 & bits) << 4);
}

}  // namespace ashlar::inline v0
