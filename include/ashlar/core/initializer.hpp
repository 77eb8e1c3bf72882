// How a parameter gets its first values: a function of (seed, name, logical element), so every layout draws the same
// weights, on the device that keeps them. Read next: ops/initial_values/initial_values.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

#include "ashlar/core/random.hpp"
#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0 {

/// A distribution of initial values.
struct Initializer {
  enum class Kind { constant, normal, truncated_normal, uniform };
  Kind kind = Kind::constant;
  double mean = 0;  // the constant, for constant
  double std = 0;
  double cut = 0;  // truncated_normal and uniform: values stay within mean +- cut (an absolute distance)

  static Initializer constant(double value) { return {Kind::constant, value, 0, 0}; }
  static Initializer normal(double std) { return {Kind::normal, 0, std, 0}; }
  static Initializer truncated_normal(double std, double cut) { return {Kind::truncated_normal, 0, std, cut}; }
  static Initializer uniform(double bound) { return {Kind::uniform, 0, 0, bound}; }
};

/// The values of one parameter.
class InitialValues {
 public:
  InitialValues(const Initializer& init, std::uint64_t seed, std::string_view name)
      : init_(init), stream_(seed, hash_name(name)) {}

  /// out[i] = the value of the element whose row-major index in the whole (logical) parameter is begin + i.
  template <class A>
  void fill(index_t begin, index_t n, A* out) const {
    if (init_.kind == Initializer::Kind::constant) {
      std::fill(out, out + n, static_cast<A>(init_.mean));
      return;
    }
    // Whole blocks are drawn, and what is asked for is taken from them: a block's loop has no ends to go wrong.
    ASHLAR_OMP(parallel for schedule(static) if (n > 4096))
    for (index_t b = begin / block; b < ceil_div(begin + n, block); ++b) {
      float drawn[block];
      draw(b, drawn);
      const index_t from = std::max(begin, b * block), to = std::min(begin + n, (b + 1) * block);
      for (index_t i = from; i < to; ++i) out[i - begin] = static_cast<A>(drawn[i - b * block]);
    }
    if (cuts())
      for (index_t i = 0; i < n; ++i) out[i] = cut(begin + i, out[i]);
  }
  /// Elements 4 q .. 4 q + 3, as fill has them.
  template <class A>
  ASHLAR_HOST_DEVICE std::array<A, 4> four(index_t q) const {
    std::array<A, 4> values;
    const bool uniform = init_.kind == Initializer::Kind::uniform;
    const auto drawn = init_.kind == Initializer::Kind::constant ? std::array<float, 4>{}
                       : uniform                                 ? uniforms(q)
                                                                 : stream_.normals(static_cast<std::uint64_t>(q));
    const auto width = static_cast<float>(uniform ? init_.cut : init_.std);
    for (std::size_t j = 0; j < 4; ++j) {
      const A value = static_cast<A>(static_cast<float>(init_.mean) + width * drawn[j]);
      values[j] = init_.kind == Initializer::Kind::constant ? static_cast<A>(init_.mean)
                  : cuts()                                  ? cut(4 * q + static_cast<index_t>(j), value)
                                                            : value;
    }
    return values;
  }

 private:
  static constexpr index_t block = 64;

  // Elements [64 b, 64 b + 64): four a counter.
  void draw(index_t b, float (&drawn)[block]) const {
    const auto std = static_cast<float>(init_.std), mean = static_cast<float>(init_.mean);
    if (init_.kind == Initializer::Kind::uniform) {
      for (index_t g = 0; g < block / 4; ++g) {
        const auto values = uniforms(b * (block / 4) + g);
        for (index_t j = 0; j < 4; ++j)
          drawn[4 * g + j] = mean + static_cast<float>(init_.cut) * values[static_cast<std::size_t>(j)];
      }
      return;
    }
    for (index_t g = 0; g < block / 4; ++g) {
      const auto values = stream_.normals(static_cast<std::uint64_t>(b * (block / 4) + g));
      drawn[4 * g] = mean + std * values[0];
      drawn[4 * g + 1] = mean + std * values[1];
      drawn[4 * g + 2] = mean + std * values[2];
      drawn[4 * g + 3] = mean + std * values[3];
    }
  }
  // Four within (-1, 1), of 24 bits each.
  ASHLAR_HOST_DEVICE std::array<float, 4> uniforms(index_t q) const {
    const auto words = stream_.words(static_cast<std::uint64_t>(q));
    std::array<float, 4> values;
    for (std::size_t j = 0; j < 4; ++j)
      values[j] = (static_cast<float>(static_cast<std::int32_t>(words[j] >> 8) - (1 << 23)) + 0.5f) * 0x1p-23f;
    return values;
  }
  ASHLAR_HOST_DEVICE bool cuts() const {
    return init_.kind == Initializer::Kind::truncated_normal && 6.7 * init_.std > init_.cut;
  }
  // Draws what is beyond the cut again, at indices far from any element's, until it is within. A cut so narrow that 64
  // draws miss it gets its own ends.
  template <class A>
  ASHLAR_HOST_DEVICE A cut(index_t element, A value) const {
    const auto limit = static_cast<A>(init_.cut), mean = static_cast<A>(init_.mean);
    const A low = mean - limit, high = mean + limit;
    for (std::uint64_t attempt = 1; (value - mean > limit || mean - value > limit) && attempt < 64; ++attempt)
      value = mean + static_cast<A>(static_cast<float>(init_.std) *
                                    stream_.normal(static_cast<std::uint64_t>(element) + (attempt << 52)));
    return value < low ? low : value > high ? high : value;
  }

  Initializer init_;
  RandomStream stream_;
};

}  // namespace ashlar::inline v0
