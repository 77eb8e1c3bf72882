// Which columns a rotary embedding turns, in which pairs, and where rows are in their sequences. Read next:
// ops/rope/rope.hpp.
#pragma once

#include <cstdint>

#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"

namespace ashlar::inline v0::ops {

/// Which two columns turn together. A checkpoint is made for one or the other: they differ by a permutation of columns.
enum class Pairs : bool {
  interleaved,  // (2i, 2i + 1): Llama, DeepSeek
  halves,       // (i, i + width / 2): Qwen, and Llama as Hugging Face stores it
};

/// x has `heads` heads of head_dim columns; columns [begin, begin + width) of each turn, the others stay as they are
/// (multi-head latent attention: the last 64 of 192).
struct RopeShape {
  index_t heads = 0;
  index_t head_dim = 0;
  index_t begin = 0;
  index_t width = 0;  // even
  Pairs pairs = Pairs::interleaved;
};

/// Row r is at position offset + r % seq_len or, where of_row [N] is given, at offset + of_row[r] (ranks of context
/// parallelism that have parts of a sequence, documents that count from their start).
template <class D>
struct RopePositions {
  index_t seq_len = 1;
  index_t offset = 0;
  TensorView<const std::int32_t, D> of_row = {};

  index_t operator[](index_t row) const { return offset + (of_row ? index_t{of_row.data()[row]} : row % seq_len); }
};

}  // namespace ashlar::inline v0::ops
