// Descriptors: how wgmma finds a matrix in shared memory. Arithmetic alone, the same on the GPU and in the emulator.
// (PTX ISA, "Matrix descriptor format".) Read next: device/cuda/ptx/wgmma.cuh.
#pragma once

#include <cstdint>

#include "ashlar/core/platform.hpp"
#include "ashlar/device/cuda/swizzle.hpp"

namespace ashlar::inline v0::ptx {

/// A factor that starts at `address` (of ptx::address) in shared memory, swizzled as the copy engine wrote it.
///
/// With the summed index contiguous (K-major): rows of 128 bytes (b128), eight rows the pattern. `stride_bytes`: from
/// eight rows to the next eight, 1024 where rows follow each other; `leading_bytes` unused. The next 16 summed indices
/// start 32 bytes further.
///
/// With its own index contiguous (MN-major, Transpose 1): patterns of 64 own indices by 8 summed ones. `leading_bytes`:
/// from 64 own indices to the next 64 (the bytes of a box); `stride_bytes`: from 8 summed indices to the next 8, 1024.
/// The next 16 summed indices start 2048 bytes further.
ASHLAR_HOST_DEVICE constexpr std::uint64_t descriptor(std::uint32_t address, int leading_bytes = 16,
                                                      int stride_bytes = 1024, Swizzle swizzle = Swizzle::b128) {
  constexpr std::uint64_t codes[] = {0, 3, 2, 1};  // of none, b32, b64, b128
  return static_cast<std::uint64_t>((address & 0x3ffffu) >> 4) |
         static_cast<std::uint64_t>(static_cast<std::uint32_t>(leading_bytes) >> 4) << 16 |
         static_cast<std::uint64_t>(static_cast<std::uint32_t>(stride_bytes) >> 4) << 32 |
         codes[static_cast<int>(swizzle)] << 62;
}

}  // namespace ashlar::inline v0::ptx
