// exp, sigmoid, square root, logarithm and cosine that a compiler can vectorise in plain loops, without fast-math flags
// and without a vector library. Read next: core/loops.hpp.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "ashlar/core/platform.hpp"

namespace ashlar::inline v0 {

// Special cases below are decided by integer arithmetic: a floating-point comparison would become a branch, with the
// arithmetic sunk into one of its sides, and the loop would stay scalar. Bits of a float without its sign order like
// the numbers: 0x7f800000 is infinity, what is above is NaN. (a - b) >> 31 is 1 where a < b, below 2^31.

/// e^x within 2 ulp for every float: overflow gives infinity, underflow passes through the subnormal numbers to zero,
/// NaN stays NaN.
[[gnu::always_inline]] inline float fast_exp(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const auto magnitude = static_cast<std::int32_t>(bits & 0x7fffffffu);
  // Past +-104 the result is infinity or zero, as it is at +-104.
  const auto bounded = static_cast<std::uint32_t>(std::min(magnitude, std::bit_cast<std::int32_t>(104.0f)));
  const auto a = std::bit_cast<float>((bits & 0x80000000u) | bounded);
  // a = n ln 2 + r with |r| <= ln 2 / 2. Adding 1.5 * 2^23 leaves n, rounded to nearest, in the low bits of the sum.
  constexpr float magic = 0x1.8p23f;
  const float shifted = a * 0x1.715476p0f + magic;
  const float n = shifted - magic;
  // ln 2 in two parts, the first short enough for n times it to be exact (Cody and Waite).
  const float r = (a - n * 0x1.63p-1f) - n * -0x1.bd0106p-13f;
  // The Taylor series to r^7: the first term left out is below 2^-27.
  float p = 1.0f / 5040;
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = (p * r) * r + r + 1.0f;
  // Times 2^n in two steps, because 2^n itself may be outside the normal numbers; 150 keeps the exponents positive.
  const std::uint32_t exponent = std::bit_cast<std::uint32_t>(shifted) - std::bit_cast<std::uint32_t>(magic) + 300u;
  const std::uint32_t half = exponent >> 1;
  const float result = p * std::bit_cast<float>((half - 150u + 127u) << 23) *
                       std::bit_cast<float>((exponent - half - 150u + 127u) << 23);
  const std::uint32_t is_nan = (0x7f800000u - static_cast<std::uint32_t>(magnitude)) >> 31;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(result) | (0u - is_nan));
}
inline double fast_exp(double x) {
  return std::exp(x);
}

/// 1 / (1 + e^-x). Zero where e^-x overflows.
template <class A>
[[gnu::always_inline]] inline A sigmoid(A x) {
  return A(1) / (A(1) + fast_exp(-x));
}

/// The square root of x >= 0 within 1 ulp; infinity and NaN stay. std::sqrt may set errno, which keeps loops over it
/// scalar unless the compiler is told that nobody looks.
[[gnu::always_inline]] ASHLAR_HOST_DEVICE float fast_sqrt(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  // Numbers below 2^-100 are multiplied by 2^64, and their roots by 2^-32: the first guess wants a normal number.
  const std::uint32_t is_small = (bits - std::bit_cast<std::uint32_t>(0x1p-100f)) >> 31;
  const float a = x * std::bit_cast<float>(0x3f800000u + (is_small << 29));
  // y = a^(-1/2): halving and negating the exponent is a first guess; Newton's iteration squares its error of 3 %.
  float y = std::bit_cast<float>(0x5f3759dfu - (std::bit_cast<std::uint32_t>(a) >> 1));
  y *= 1.5f - 0.5f * (a * y) * y;
  y *= 1.5f - 0.5f * (a * y) * y;
  y *= 1.5f - 0.5f * (a * y) * y;
  float root = a * y;
  root += 0.5f * y * (a - root * root);
  root *= std::bit_cast<float>(0x3f800000u - (is_small << 28));
  const std::uint32_t keep = 0u - ((0x7f7fffffu - bits) >> 31);  // infinity and NaN
  return std::bit_cast<float>((bits & keep) | (std::bit_cast<std::uint32_t>(root) & ~keep));
}
inline double fast_sqrt(double x) {
  return std::sqrt(x);
}

/// The natural logarithm of a normal x > 0, within 2 ulp or 1e-7, whichever is more.
[[gnu::always_inline]] ASHLAR_HOST_DEVICE float fast_log(float x) {
  // x = 2^e m with m in [sqrt(1/2), sqrt(2)); log m = 2 atanh(s) with s = (m - 1) / (m + 1), |s| < 0.172.
  const auto bits = std::bit_cast<std::uint32_t>(x) - 0x3f3504f3u;
  const auto e = static_cast<float>(static_cast<std::int32_t>(bits) >> 23);
  const float m = std::bit_cast<float>((bits & 0x007fffffu) + 0x3f3504f3u);
  const float s = (m - 1.0f) / (m + 1.0f), q = s * s;
  float p = 2.0f / 9;
  p = p * q + 2.0f / 7;
  p = p * q + 2.0f / 5;
  p = p * q + 2.0f / 3;
  p = p * q + 2.0f;
  return e * 0x1.62e430p-1f + p * s;
}

/// cos(2 pi t) for t in [0, 1], within 2e-7.
[[gnu::always_inline]] ASHLAR_HOST_DEVICE float fast_cos_turns(float t) {
  // cos(2 pi t) = sin(pi / 2 - 2 pi |t - round(t)|), whose argument is within +-pi / 2: the Taylor series to z^11.
  const float distance = t - static_cast<float>(static_cast<std::int32_t>(t + 0.5f));
  const float nearest = std::bit_cast<float>(std::bit_cast<std::uint32_t>(distance) & 0x7fffffffu);
  const float z = 0x1.921fb6p0f - 0x1.921fb6p2f * nearest, q = z * z;
  float p = -1.0f / 39916800;
  p = p * q + 1.0f / 362880;
  p = p * q - 1.0f / 5040;
  p = p * q + 1.0f / 120;
  p = p * q - 1.0f / 6;
  return (p * q) * z + z;
}

}  // namespace ashlar::inline v0
