// Where wgmma finds a factor: a descriptor decoded to the addresses of its 16-byte pieces (eight elements), so that a
// wrong stride, swizzle or transposition reads what the hardware would. (PTX ISA, "Strides" under wgmma.)
#pragma once

#include <cstdint>

#include "ashlar/device/cuda/swizzle.hpp"

namespace ashlar::inline v0::simt::detail {

/// Shared memory begins here in the window of addresses: not at 0, as on the GPU.
inline constexpr std::uint32_t shared_window = 1024;

struct MatrixDescriptor {
  std::uint32_t start, leading, stride;  // bytes
  Swizzle swizzle;

  explicit MatrixDescriptor(std::uint64_t bits)
      : start(static_cast<std::uint32_t>(bits & 0x3fff) << 4),
        leading(static_cast<std::uint32_t>(bits >> 16 & 0x3fff) << 4),
        stride(static_cast<std::uint32_t>(bits >> 32 & 0x3fff) << 4) {
    constexpr Swizzle of_code[] = {Swizzle::none, Swizzle::b128, Swizzle::b64, Swizzle::b32};
    swizzle = of_code[bits >> 62];
  }

  /// K-major: the address of summed indices 8 half to 8 half + 7 of row `row`.
  std::uint32_t along_row(int row, int half) const {
    const auto r = static_cast<std::uint32_t>(row), h = static_cast<std::uint32_t>(half);
    if (swizzle == Swizzle::none) return address(r / 8 * stride + h * leading + r % 8 * 16);
    return address(r / 8 * stride + r % 8 * pitch() + h * 16);
  }
  /// MN-major: the address of rows 8 eight to 8 eight + 7 at summed index k.
  std::uint32_t over_rows(int eight, int k) const {
    const auto e = static_cast<std::uint32_t>(eight), s = static_cast<std::uint32_t>(k);
    if (swizzle == Swizzle::none) return address(e * stride + s / 8 * leading + s % 8 * 16);
    const std::uint32_t pieces = pitch() / 16;
    return address(e / pieces * leading + s / 8 * stride + s % 8 * pitch() + e % pieces * 16);
  }

 private:
  std::uint32_t pitch() const { return swizzle == Swizzle::b128 ? 128 : swizzle == Swizzle::b64 ? 64 : 32; }
  std::uint32_t address(std::uint32_t offset) const {
    const std::uint32_t linear = (start + offset) & 0x3ffffu;
    const std::uint32_t bits = swizzle == Swizzle::none ? 0 : pitch() / 16 - 1;
    return linear ^ ((linear >> 7 & bits) << 4);
  }
};

}  // namespace ashlar::inline v0::simt::detail
