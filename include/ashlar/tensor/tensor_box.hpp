// TensorBox: a box of a logical tensor, what two boxes share, and what one leaves of the other. Resharding is this and
// nothing more.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "ashlar/core/error.hpp"
#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0 {

/// `extent` elements a dimension from `offset` on.
struct TensorBox {
  Shape offset, extent;

  index_t count() const { return extent.count(); }
  /// The whole tensor of a shape.
  static TensorBox whole(const Shape& shape) {
    TensorBox box{shape, shape};
    for (int i = 0; i < shape.rank(); ++i) box.offset[i] = 0;
    return box;
  }
  friend bool operator==(const TensorBox&, const TensorBox&) = default;
};

/// "[0:4, 8:16]", as one writes a slice; "[]" for rank 0.
inline std::string to_string(const TensorBox& box) {
  std::string out = "[";
  for (int i = 0; i < box.extent.rank(); ++i)
    out += concat(i ? ", " : "", box.offset[i], ":", box.offset[i] + box.extent[i]);
  return out + "]";
}

/// Whether the box lies inside a tensor of `shape`. Holds for any numbers that are not negative.
inline bool is_inside(const TensorBox& box, const Shape& shape) {
  if (box.offset.rank() != shape.rank() || box.extent.rank() != shape.rank()) return false;
  for (int i = 0; i < shape.rank(); ++i)
    if (box.offset[i] < 0 || box.extent[i] < 0 || box.extent[i] > shape[i] || box.offset[i] > shape[i] - box.extent[i])
      return false;
  return true;
}

/// What two boxes of one tensor share; count() is 0 where they share nothing.
inline TensorBox intersect(const TensorBox& a, const TensorBox& b) {
  TensorBox common = a;
  for (int i = 0; i < a.offset.rank(); ++i) {
    const index_t begin = std::max(a.offset[i], b.offset[i]);
    const index_t end = std::min(a.offset[i] + a.extent[i], b.offset[i] + b.extent[i]);
    common.offset[i] = begin;
    common.extent[i] = std::max(end - begin, index_t{0});
  }
  return common;
}

/// Appends to `rest` disjoint boxes that together are `box` without `part`, which lies inside of it.
inline void subtract(TensorBox box, const TensorBox& part, std::vector<TensorBox>& rest) {
  for (int i = 0; i < box.offset.rank(); ++i) {
    const index_t end = box.offset[i] + box.extent[i], part_end = part.offset[i] + part.extent[i];
    TensorBox side = box;
    side.extent[i] = part.offset[i] - box.offset[i];
    if (side.count() > 0) rest.push_back(side);
    side.offset[i] = part_end;
    side.extent[i] = end - part_end;
    if (side.count() > 0) rest.push_back(side);
    box.offset[i] = part.offset[i];
    box.extent[i] = part.extent[i];
  }
}

/// Calls f(element index within a, element index within b, count) for each run of elements that `common`, the shared
/// box of a and b, occupies without a gap in both; each is stored row-major.
template <class F>
void for_each_shared_run(const TensorBox& a, const TensorBox& b, const TensorBox& common, F&& f) {
  const int rank = common.extent.rank();
  int inner = rank;  // dimensions from here on form one run
  index_t run = 1;
  while (inner > 0) {
    run *= common.extent[--inner];
    if (common.extent[inner] != a.extent[inner] || common.extent[inner] != b.extent[inner]) break;
  }
  const index_t runs = run > 0 ? common.count() / run : 0;
  for (index_t r = 0; r < runs; ++r) {
    Shape at = common.offset;
    for (index_t k = inner - 1, rest = r; k >= 0; --k) {
      const int dim = static_cast<int>(k);
      at[dim] += rest % common.extent[dim];
      rest /= common.extent[dim];
    }
    index_t in_a = 0, in_b = 0;
    for (int k = 0; k < rank; ++k) {
      in_a = in_a * a.extent[k] + at[k] - a.offset[k];
      in_b = in_b * b.extent[k] + at[k] - b.offset[k];
    }
    f(in_a, in_b, run);
  }
}

}  // namespace ashlar::inline v0
