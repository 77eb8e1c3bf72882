// Numbers of the elementwise kernels. Read next: ops/elementwise/cuda.cuh.
#pragma once

namespace ashlar::inline v0::ops {

struct ElementwiseTuning {
  int threads;           // of a block
  int packs_per_thread;  // of 16 bytes
  int counting_packs;    // the same, of a block that counts: it ends in a reduction
};
inline constexpr ElementwiseTuning elementwise_tuning{256, 4, 16};

}  // namespace ashlar::inline v0::ops
