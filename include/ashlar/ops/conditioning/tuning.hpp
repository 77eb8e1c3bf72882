// Numbers of the kernels of conditions. Read next: ops/conditioning/cuda.cuh.
#pragma once

namespace ashlar::inline v0::ops {

struct ConditioningTuning {
  int threads;  // of a block; an element each
};
inline constexpr ConditioningTuning conditioning_tuning{256};

}  // namespace ashlar::inline v0::ops
