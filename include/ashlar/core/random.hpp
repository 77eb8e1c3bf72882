// Counter-based random numbers: a value depends on (key, index) alone, so any rank can draw any element of any tensor.
// Philox 4x32-10: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "ashlar/core/math.hpp"

namespace ashlar::inline v0 {

/// FNV-1a of `text`, 64 bits: how a name becomes part of a key.
constexpr std::uint64_t hash_name(std::string_view text) {
  std::uint64_t h = 0xcbf29ce484222325ull;
  for (char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return h;
}

/// A stream of random numbers addressed by index. Two streams differ when their (seed, stream) differ.
class RandomStream {
 public:
  constexpr RandomStream(std::uint64_t seed, std::uint64_t stream) : seed_(seed), stream_(stream) {}

  /// Four independent 32-bit words for this index.
  [[gnu::always_inline]] ASHLAR_HOST_DEVICE constexpr std::array<std::uint32_t, 4> words(std::uint64_t index) const {
    // Plain variables, so that a loop over indices vectorises.
    std::uint32_t c0 = lo(index), c1 = hi(index), c2 = lo(stream_), c3 = hi(stream_);
    std::uint32_t k0 = lo(seed_), k1 = hi(seed_);
    for (int round = 0; round < 10; ++round) {
      const std::uint64_t p0 = 0xD2511F53ull * c0, p1 = 0xCD9E8D57ull * c2;
      c0 = hi(p1) ^ c1 ^ k0;
      c1 = lo(p1);
      c2 = hi(p0) ^ c3 ^ k1;
      c3 = lo(p0);
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    return {c0, c1, c2, c3};
  }
  constexpr std::uint64_t bits(std::uint64_t index) const {
    const auto w = words(index);
    return std::uint64_t{w[0]} << 32 | w[1];
  }
  /// Uniform on the open interval (0, 1), 53 bits.
  double uniform(std::uint64_t index) const { return to_unit(bits(index)); }
  /// Uniform on 0 .. n-1 (bias below n / 2^64).
  std::uint64_t below(std::uint64_t index, std::uint64_t n) const {
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(bits(index)) * n) >> 64);
  }
  /// Standard normal (Box and Muller 1958), in the precision of float; |value| < 6.7.
  [[gnu::always_inline]] ASHLAR_HOST_DEVICE float normal(std::uint64_t index) const {
    const auto w = words(index);
    return radius(w[0]) * fast_cos_turns(turns(w[1] >> 8));
  }
  /// Four of them, independent of each other, for little more than the price of one: the first is normal(index).
  [[gnu::always_inline]] ASHLAR_HOST_DEVICE std::array<float, 4> normals(std::uint64_t index) const {
    const auto w = words(index);
    const float r0 = radius(w[0]), r1 = radius(w[2]);
    return {r0 * fast_cos_turns(turns(w[1] >> 8)), r0 * fast_cos_turns(turns(quarter_back(w[1] >> 8))),
            r1 * fast_cos_turns(turns(w[3] >> 8)), r1 * fast_cos_turns(turns(quarter_back(w[3] >> 8)))};
  }

 private:
  ASHLAR_HOST_DEVICE static constexpr std::uint32_t lo(std::uint64_t x) { return static_cast<std::uint32_t>(x); }
  ASHLAR_HOST_DEVICE static constexpr std::uint32_t hi(std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); }
  // Of Box and Muller's: sqrt(-2 log u) with u in (0, 1), and an angle in turns. The sine is the cosine a quarter
  // before.
  [[gnu::always_inline]] ASHLAR_HOST_DEVICE static float radius(std::uint32_t bits) {
    const float u = (static_cast<float>(static_cast<std::int32_t>(bits >> 1)) + 0.5f) * 0x1p-31f;
    return fast_sqrt(-2.0f * fast_log(u));
  }
  [[gnu::always_inline]] ASHLAR_HOST_DEVICE static float turns(std::uint32_t bits24) {
    return static_cast<float>(static_cast<std::int32_t>(bits24)) * 0x1p-24f;
  }
  ASHLAR_HOST_DEVICE static constexpr std::uint32_t quarter_back(std::uint32_t bits24) {
    return (bits24 + 0xC00000u) & 0xFFFFFFu;
  }
  static constexpr double to_unit(std::uint64_t x) { return (static_cast<double>(x >> 11) + 0.5) * 0x1p-53; }

  std::uint64_t seed_, stream_;
};

}  // namespace ashlar::inline v0
