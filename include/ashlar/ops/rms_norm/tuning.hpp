// Numbers of the RMSNorm kernels. Read next: ops/rms_norm/cuda.cuh.
#pragma once

#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0::ops {

struct RmsNormTuning {
  int threads;             // of a block
  index_t warp_row;        // columns up to which a row is one warp's; longer rows are a block's
  index_t rows_per_block;  // that one partial weight gradient sums
};
inline constexpr RmsNormTuning rms_norm_tuning{256, 1024, 64};

}  // namespace ashlar::inline v0::ops
