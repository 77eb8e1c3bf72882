// UnitLayout: the parameters of a unit one after another in a flat range, and the one map from a piece of that range to
// boxes of logical tensors. Initialisation, checkpoints, resharding and conversion all go through the map. Read next:
// parallel/unit.hpp.
#pragma once

#include <algorithm>
#include <vector>

#include "ashlar/core/platform.hpp"
#include "ashlar/tensor/parameter.hpp"
#include "ashlar/tensor/tensor_box.hpp"

namespace ashlar::inline v0 {

/// A contiguous piece of the flat range that is a box of a logical parameter: `extent` elements a dimension from
/// `offset`. Its elements are row-major at flat positions begin .. begin + extent.count().
struct Box {
  std::size_t parameter;  // index into the layout
  Shape offset, extent;
  index_t begin;
};

/// A part of the flat range that is cut into equal shards by itself.
struct UnitPart {
  index_t begin = 0, size = 0;  // multiples of 16 * shards
  index_t alike_begin = 0;      // from here on, ranks of tp hold the same, and gradients are partial sums over them
  int shards = 1;

  index_t shard_size() const { return size / shards; }
  /// Where rank r's shard begins in the flat range.
  index_t shard_begin(int r) const { return begin + r * shard_size(); }
  /// The elements of rank r's shard before alike_begin.
  index_t cut_by_tp(int r) const { return std::clamp(alike_begin - shard_begin(r), index_t{0}, shard_size()); }
};

/// Where each parameter of a unit stands: what is trained, then what is frozen, each cut into equal shards by itself,
/// so that every rank has its share of both. Within a part, parameters whose gradients are partial over tp stand last,
/// so that in any equal cut they form one interval; within these, groups of the optimizer follow one another. Offsets
/// are multiples of 16 elements; the padding is zero and stays zero.
class UnitLayout {
 public:
  struct Entry {
    ParameterInfo info;
    Shape local_shape, local_offset;
    index_t begin = 0;
    bool partial_over_tp = false;
  };

  UnitLayout() = default;
  /// `shards`: into how many equal ranges the unit is cut. `entries` need everything but `begin`; their order is kept
  /// within each class.
  UnitLayout(std::vector<Entry> entries, int shards);

  /// One tensor of `shape`, of which this rank has a box.
  static UnitLayout of_box(std::string name, const Shape& shape, const TensorBox& box);
  static UnitLayout of_whole(std::string name, const Shape& shape) {
    return of_box(std::move(name), shape, TensorBox::whole(shape));
  }

  const std::vector<Entry>& entries() const { return entries_; }
  /// Elements in the flat range, padding included.
  index_t size() const { return trained_.size + frozen_.size; }
  const UnitPart& trained() const { return trained_; }
  const UnitPart& frozen() const { return frozen_; }

  /// Calls f(Box) for the boxes that make up flat range [begin, end), in increasing order; padding has none.
  template <class F>
  void for_each_box(index_t begin, index_t end, F&& f) const {
    for (std::size_t p = 0; p < entries_.size(); ++p) {
      const Entry& e = entries_[p];
      const index_t lo = std::max(begin, e.begin), hi = std::min(end, e.begin + e.local_shape.count());
      if (lo < hi) cut(p, Shape{}, 0, lo - e.begin, hi - e.begin, f);
    }
  }

 private:
  static constexpr index_t alignment = 16;

  // Cuts local elements [lo, hi) of the sub-tensor at `prefix` (indices of the outer dimensions) into boxes.
  template <class F>
  void cut(std::size_t p, Shape prefix, index_t base, index_t lo, index_t hi, F& f) const {
    const Entry& e = entries_[p];
    const int dim = prefix.rank(), rank = e.local_shape.rank();
    index_t inner = 1;
    for (int i = dim + 1; i < rank; ++i) inner *= e.local_shape[i];
    index_t at = lo;
    while (at < hi) {
      const index_t i = (at - base) / inner;
      const bool whole = at == base + i * inner && hi - at >= inner;
      if (whole || inner == 1) {  // a run of whole slices is one box
        const index_t n = inner == 1 ? hi - at : (hi - at) / inner;
        Box box{p, e.local_offset, {}, e.begin + at};
        for (int k = 0; k < rank; ++k) box.extent.push_back(k < dim ? 1 : k == dim ? n : e.local_shape[k]);
        for (int k = 0; k < dim; ++k) box.offset[k] += prefix[k];
        if (rank > 0) box.offset[dim] += i;
        f(box);
        at += n * inner;
      } else {
        const index_t slice_end = std::min(hi, base + (i + 1) * inner);
        Shape deeper = prefix;
        deeper.push_back(i);
        cut(p, deeper, base + i * inner, at, slice_end, f);
        at = slice_end;
      }
    }
  }

  std::vector<Entry> entries_;
  UnitPart trained_, frozen_;
};

/// Calls f(logical element index, local element index, count) for each contiguous run of the box: local indices count
/// from 0 within the box, logical ones within `shape`.
template <class F>
void for_each_run(const Shape& shape, const Box& box, F&& f) {
  const TensorBox part{box.offset, box.extent};
  for_each_shared_run(TensorBox::whole(shape), part, part, f);
}

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/tensor/unit_layout.ipp"
#endif
