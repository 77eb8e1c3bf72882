// Numbers of the cross-entropy kernels. Read next: ops/cross_entropy/cuda.cuh.
#pragma once

namespace ashlar::inline v0::ops {

struct CrossEntropyTuning {
  int threads;      // of a block that reads a row of logits
  int packs;        // of logits that a thread has under way for the statistics
  int row_threads;  // of a block whose threads have a row of statistics each
};
inline constexpr CrossEntropyTuning cross_entropy_tuning{512, 4, 128};

}  // namespace ashlar::inline v0::ops
