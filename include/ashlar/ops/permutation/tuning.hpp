// Numbers of the permutation kernels. Read next: ops/permutation/cuda.cuh.
#pragma once

namespace ashlar::inline v0::ops {

struct PermutationTuning {
  int threads;       // of a block that moves rows; a warp has a row
  int sort_threads;  // of a block that computes positions
  int choices;       // of a token whose rows are read at a time
};
inline constexpr PermutationTuning permutation_tuning{256, 256, 8};

}  // namespace ashlar::inline v0::ops
