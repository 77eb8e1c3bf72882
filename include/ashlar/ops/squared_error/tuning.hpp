// Numbers of the kernel of squared errors. Read next: ops/squared_error/cuda.cuh.
#pragma once

namespace ashlar::inline v0::ops {

struct SquaredErrorTuning {
  int threads;  // of a block, which has a row
};
inline constexpr SquaredErrorTuning squared_error_tuning{128};

}  // namespace ashlar::inline v0::ops
