// exp and sigmoid that a compiler can vectorise in plain loops, without fast-math flags and without a vector library.
// Used by the Cpu operations (softmax, swiglu, router, attention). Read next: core/parallel.hpp.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace ashlar::inline v0 {

/// e^x within 2 ulp for every float: overflow gives infinity, underflow passes through the subnormal numbers to zero,
/// NaN stays NaN. No branches and no calls, so loops over it vectorise.
[[gnu::always_inline]] inline float fast_exp(float x) {
  // Past these bounds e^x rounds to infinity or to zero; what follows then rounds it so. NaN passes both comparisons.
  x = x > 89.0f ? 89.0f : x;
  x = x < -104.0f ? -104.0f : x;
  // x = n ln 2 + r with |r| <= ln 2 / 2. Adding 1.5 * 2^23 leaves n, rounded to nearest, in the low bits of the sum.
  constexpr float magic = 0x1.8p23f;
  const float shifted = x * 0x1.715476p0f + magic;
  const float n = shifted - magic;
  // ln 2 in two parts, the first short enough for n times it to be exact (Cody and Waite).
  const float r = (x - n * 0x1.63p-1f) - n * -0x1.bd0106p-13f;
  // The Taylor series to r^7: the first term left out is below 2^-27.
  float p = 1.0f / 5040;
  p = p * r + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = (p * r) * r + r + 1.0f;
  // Times 2^n in two steps: 2^n itself may be outside the normal numbers. Unsigned, because n of a NaN is arbitrary.
  const std::uint32_t exponent = std::bit_cast<std::uint32_t>(shifted) - std::bit_cast<std::uint32_t>(magic) + 300u;
  const std::uint32_t half = exponent >> 1;
  return p * std::bit_cast<float>((half - 150u + 127u) << 23) *
         std::bit_cast<float>((exponent - half - 150u + 127u) << 23);
}
inline double fast_exp(double x) {
  return std::exp(x);
}

/// 1 / (1 + e^-x). Zero where e^-x overflows.
template <class A>
[[gnu::always_inline]] inline A sigmoid(A x) {
  return A(1) / (A(1) + fast_exp(-x));
}

}  // namespace ashlar::inline v0
