// Numbers of the RMSNorm kernels. Read next: ops/rms_norm/cuda.cuh.
#pragma once

#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0::ops {

struct RmsNormTuning {
  int threads;         // of a block
  index_t warp_row;    // columns up to which a row is one warp's; longer rows are a block's
  int summed_columns;  // of all rows that a block works on at a time, whose weight gradients it has room for
  index_t blocks;      // that sum partial weight gradients, at most: four a multiprocessor
  index_t least_rows;  // of such a block

  constexpr index_t block_rows(index_t rows) const {
    const index_t wanted = ceil_div(rows, blocks);
    return wanted > least_rows ? wanted : least_rows;
  }
};
inline constexpr RmsNormTuning rms_norm_tuning{256, 1024, 8192, 528, 8};

}  // namespace ashlar::inline v0::ops
