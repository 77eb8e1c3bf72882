// Numbers of the RMSNorm kernels. Read next: ops/rms_norm/cuda.cuh.
#pragma once

#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0::ops {

struct RmsNormTuning {
  int threads;       // of a block
  index_t warp_row;  // columns up to which a row is one warp's; longer rows are a block's
  int summed_bytes;  // of a block's shared memory, for the weight gradient of rows too long for registers
  // Blocks, at most, each of which sums a partial weight gradient: as many as there is room for.
  index_t warp_blocks, blocks;
  index_t least_rows;  // of such a block

  constexpr index_t block_rows(index_t rows, index_t cols) const {
    const index_t wanted = ceil_div(rows, cols <= warp_row ? warp_blocks : blocks);
    return wanted > least_rows ? wanted : least_rows;
  }
};
inline constexpr RmsNormTuning rms_norm_tuning{256, 1024, 131072, 528, 264, 8};

}  // namespace ashlar::inline v0::ops
