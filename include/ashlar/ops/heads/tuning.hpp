// Numbers of the kernel that moves columns of heads. Read next: ops/heads/cuda.cuh.
#pragma once

namespace ashlar::inline v0::ops {

struct HeadsTuning {
  int threads;   // of a block
  int elements;  // that a thread moves
};
inline constexpr HeadsTuning heads_tuning{256, 4};

}  // namespace ashlar::inline v0::ops
