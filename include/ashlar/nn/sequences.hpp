// Sequences: what the rows of a stream of activations are. Text has one stream; a model of images and text has two.
#pragma once

#include <cstdint>

#include "ashlar/core/tensor_view.hpp"

namespace ashlar::inline v0 {

/// `count` sequences of `len` rows each, sequence by sequence. Under tensor parallel each rank's activations between
/// modules are its equal part of the count * len rows (sequence parallel).
template <class D>
struct Sequences {
  index_t count = 0;
  index_t len = 0;
  TensorView<const std::int32_t, D> tokens;  // [rows]: the ids where rows are tokens, else empty
  /// [rows]: the position where the row's document begins; may be empty. With a key-value cache it covers all positions
  /// that the cache has room for, [count, capacity].
  TensorView<const std::int32_t, D> document_start;

  index_t rows() const { return count * len; }
};

}  // namespace ashlar::inline v0
