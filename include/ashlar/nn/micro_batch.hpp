// MicroBatch: the tokens that go through the model together, and what modules need to know of them.
#pragma once

#include <cstdint>

#include "ashlar/core/tensor_view.hpp"

namespace ashlar::inline v0 {

/// B sequences of S tokens in device memory. Rows of activations are tokens, sequence by sequence: N = B S. Under
/// tensor parallel each rank's activations between modules are its equal part of the N rows (sequence parallel).
template <class D>
struct MicroBatch {
  index_t batch = 0;                          // B
  index_t seq_len = 0;                        // S
  TensorView<const std::int32_t, D> tokens;   // [N]
  TensorView<const std::int32_t, D> targets;  // [N]; ignore_index where nothing is to be predicted
  /// [N]: the position where the token's document begins; may be empty. With a key-value cache it covers all positions
  /// that the cache has room for, [B capacity].
  TensorView<const std::int32_t, D> document_start;
  double loss_scale = 1;  // 1 / valid tokens of the global batch

  index_t rows() const { return batch * seq_len; }
};

}  // namespace ashlar::inline v0
