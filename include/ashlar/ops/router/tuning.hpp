// Numbers of the router's kernels. Read next: ops/router/cuda.cuh.
#pragma once

namespace ashlar::inline v0::ops {

struct RouterTuning {
  int threads;      // of a block; a warp has a token at a time
  int max_blocks;   // about 4 for each of 132 multiprocessors: each adds its counts once
  int max_experts;  // a lane keeps max_experts / 32 scores in registers
};
inline constexpr RouterTuning router_tuning{256, 528, 512};

}  // namespace ashlar::inline v0::ops
