// Numbers of the AdamW kernel. Read next: ops/adamw/cuda.cuh.
#pragma once

namespace ashlar::inline v0::ops {

struct AdamWTuning {
  int threads;           // of a block
  int packs_per_thread;  // of 16 bytes, of each of the arrays
};
inline constexpr AdamWTuning adamw_tuning{256, 2};

}  // namespace ashlar::inline v0::ops
