// How elementwise kernels share rows out among blocks: each block takes one tile, a range of columns of one row.
// Tensors without gaps between rows are one long row.
#pragma once

#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cuda/simt.cuh"

namespace ashlar::inline v0 {

struct RowTiles {
  index_t rows, cols;
  index_t tile;     // columns of a tile, but for the last one of a row
  index_t per_row;  // tiles in a row

  /// Tiles over tensors of one shape. All must be contiguous for rows to be joined.
  template <class... Views>
  static RowTiles over(index_t tile, const Views&... views) {
    const bool joined = (views.contiguous() && ...);
    index_t rows = 1, cols = 1;
    ((rows = views.rows(), cols = views.cols()), ...);
    if (joined) cols *= rows, rows = 1;
    return {rows, cols, tile, ceil_div(cols, tile)};
  }

  index_t blocks() const { return rows * per_row; }
  ASHLAR_DEVICE index_t row(index_t block) const { return block / per_row; }
  ASHLAR_DEVICE index_t begin(index_t block) const { return block % per_row * tile; }
  ASHLAR_DEVICE index_t end(index_t begin) const { return begin + tile < cols ? begin + tile : cols; }
};

}  // namespace ashlar::inline v0
