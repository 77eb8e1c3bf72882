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

  /// The value of the element with this row-major index in the whole (logical) parameter.
  double operator()(index_t element) const {
    const auto i = static_cast<std::uint64_t>(element);
    switch (init_.kind) {
      case Initializer::Kind::constant: return init_.mean;
      case Initializer::Kind::normal: return init_.mean + init_.std * stream_.normal(i);
      case Initializer::Kind::truncated_normal: return init_.mean + truncated(i);
    }
    return 0;
  }
  /// out[i] = the value of element begin + i.
  template <class A>
  void fill(index_t begin, index_t n, A* out) const {
    ASHLAR_OMP(parallel for schedule(static) if (n > 4096))
    for (index_t i = 0; i < n; ++i) out[i] = static_cast<A>((*this)(begin + i));
  }

 private:
  // Draws again, at indices far from any element's, until the value is within the cut.
  double truncated(std::uint64_t i) const {
    double value = init_.std * stream_.normal(i);
    for (std::uint64_t attempt = 1; std::abs(value) > init_.cut && attempt < 64; ++attempt)
      value = init_.std * stream_.normal(i + (attempt << 52));
    return std::clamp(value, -init_.cut, init_.cut);
  }

  Initializer init_;
  RandomStream stream_;
};

}  // namespace ashlar::inline v0
