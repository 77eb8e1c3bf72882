// How a sum over a long array is cut into blocks on Cuda, and so how many partial sums it needs. Read next:
// device/cuda/grid_sum.cuh.
#pragma once

#include <algorithm>

#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0 {

struct GridSumTuning {
  int threads;         // of a block
  index_t chunk;       // elements that a block sums at least, but for the last block
  index_t max_blocks;  // partial sums at most: about 8 blocks for each of 132 multiprocessors
  int packs_ahead;     // loads that a thread has on their way at a time: changes no bits
};
inline constexpr GridSumTuning grid_sum_tuning{256, 8192, 1024, 2};

/// Blocks, and partial sums, of a sum over n elements: a function of n alone, so the order of additions is one too.
constexpr index_t grid_sum_blocks(index_t n) {
  return std::min(ceil_div(n, grid_sum_tuning.chunk), grid_sum_tuning.max_blocks);
}

}  // namespace ashlar::inline v0
