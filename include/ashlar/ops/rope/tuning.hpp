// Numbers of the rotary embedding's kernel. Read next: ops/rope/cuda.cuh.
#pragma once

namespace ashlar::inline v0::ops {

struct RopeTuning {
  int threads;  // of a block; a warp has a row
};
inline constexpr RopeTuning rope_tuning{256};

}  // namespace ashlar::inline v0::ops
