// Shapes: up to five run-time dimensions, held by value. Read next: core/tensor_view.hpp.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>

#include "ashlar/core/error.hpp"
#include "ashlar/core/platform.hpp"

namespace ashlar::inline v0 {

/// Sizes and offsets, in elements. Signed and 64-bit: products of sizes pass 2^31.
using index_t = std::int64_t;

/// A list of at most five dimensions, outermost first.
class Shape {
 public:
  static constexpr int max_rank = 5;

  constexpr Shape() = default;
  constexpr Shape(std::initializer_list<index_t> dims) {
    for (index_t d : dims) dims_[rank_++] = d;
  }

  ASHLAR_HOST_DEVICE constexpr int rank() const {
    if (rank_ < 0 || rank_ > max_rank) __builtin_unreachable();  // lets a compiler bound its loops
    return rank_;
  }
  ASHLAR_HOST_DEVICE constexpr index_t operator[](int i) const { return dims_[i < 0 ? rank_ + i : i]; }
  ASHLAR_HOST_DEVICE constexpr index_t& operator[](int i) { return dims_[i < 0 ? rank_ + i : i]; }
  /// The number of elements; 1 for rank 0.
  ASHLAR_HOST_DEVICE constexpr index_t count() const {
    index_t n = 1;
    for (int i = 0; i < rank(); ++i) n *= dims_[i];
    return n;
  }
  constexpr void push_back(index_t d) {
    if (rank_ < max_rank) dims_[rank_++] = d;
  }
  constexpr const index_t* begin() const { return dims_; }
  constexpr const index_t* end() const { return dims_ + rank_; }
  friend constexpr bool operator==(const Shape& a, const Shape& b) {
    if (a.rank_ != b.rank_) return false;
    for (int i = 0; i < a.rank(); ++i)
      if (a.dims_[i] != b.dims_[i]) return false;
    return true;
  }

 private:
  index_t dims_[max_rank] = {};
  int rank_ = 0;
};

inline std::string to_string(const Shape& shape) {
  std::string out = "[";
  for (int i = 0; i < shape.rank(); ++i) out += (i ? ", " : "") + std::to_string(shape[i]);
  return out + "]";
}

/// n rounded up to a multiple of `multiple`.
ASHLAR_HOST_DEVICE constexpr index_t round_up(index_t n, index_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}
ASHLAR_HOST_DEVICE constexpr index_t ceil_div(index_t n, index_t d) {
  return (n + d - 1) / d;
}

}  // namespace ashlar::inline v0
