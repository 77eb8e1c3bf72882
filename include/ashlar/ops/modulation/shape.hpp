// Which rows belong to which sequence. Read next: ops/modulation/modulation.hpp.
#pragma once

#include "ashlar/core/platform.hpp"
#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0::ops {

/// Rows that are part of the rows of whole sequences of `len` rows each, from row `first` of them on: under sequence
/// parallel a rank's rows may begin and end within a sequence.
struct SequenceRows {
  index_t first = 0, len = 1;

  ASHLAR_HOST_DEVICE index_t sequence(index_t row) const { return (first + row) / len; }
  /// The first of `rows` rows that is not of a sequence before b.
  ASHLAR_HOST_DEVICE index_t begin(index_t b, index_t rows) const {
    const index_t row = b * len - first;
    return row < 0 ? 0 : row > rows ? rows : row;
  }
};

}  // namespace ashlar::inline v0::ops
