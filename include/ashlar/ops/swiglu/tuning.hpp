// Numbers of the SwiGLU kernels. Read next: ops/swiglu/cuda.cuh.
#pragma once

namespace ashlar::inline v0::ops {

struct SwigluTuning {
  int threads;           // of a block
  int packs_per_thread;  // of 16 bytes
};
inline constexpr SwigluTuning swiglu_tuning{256, 4};

}  // namespace ashlar::inline v0::ops
