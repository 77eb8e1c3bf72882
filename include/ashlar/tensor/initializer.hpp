// How a parameter gets its first values: a function of (seed, name, logical element), so every layout draws the same
// weights. Read next: tensor/parameter.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <string_view>

#include "ashlar/core/random.hpp"
#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0 {

/// A distribution of initial values.
struct Initializer {
  enum class Kind { constant, normal, truncated_normal };
  Kind kind = Kind::constant;
  double mean = 0;  // the constant, for constant
  double std = 0;
  double cut = 0;  // truncated_normal: values stay within mean +- cut (an absolute distance)

  static Initializer constant(double value) { return {Kind::constant, value, 0, 0}; }
  static Initializer normal(double std) { return {Kind::normal, 0, std, 0}; }
  static Initializer truncated_normal(double std, double cut) { return {Kind::truncated_normal, 0, std, cut}; }
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
    const auto std = static_cast<float>(init_.std), mean = static_cast<float>(init_.mean);
    ASHLAR_OMP(parallel for simd schedule(static) if (n > 4096))
    for (index_t i = 0; i < n; ++i)
      out[i] = static_cast<A>(mean + std * stream_.normal(static_cast<std::uint64_t>(begin + i)));
    if (init_.kind == Initializer::Kind::truncated_normal && 6.7 * init_.std > init_.cut) cut(begin, n, out);
  }

 private:
  // Draws what is beyond the cut again, at indices far from any element's, until it is within. A cut so narrow that 64
  // draws miss it gets its own ends.
  template <class A>
  void cut(index_t begin, index_t n, A* out) const {
    const auto limit = static_cast<A>(init_.cut), mean = static_cast<A>(init_.mean);
    for (index_t i = 0; i < n; ++i) {
      for (std::uint64_t attempt = 1; std::abs(out[i] - mean) > limit && attempt < 64; ++attempt)
        out[i] = mean + static_cast<A>(static_cast<float>(init_.std) *
                                       stream_.normal(static_cast<std::uint64_t>(begin + i) + (attempt << 52)));
      out[i] = std::clamp(out[i], mean - limit, mean + limit);
    }
  }

  Initializer init_;
  RandomStream stream_;
};

}  // namespace ashlar::inline v0
