// Numbers of the kernels that modulate rows. Read next: ops/modulation/cuda.cuh.
#pragma once

namespace ashlar::inline v0::ops {

struct ModulationTuning {
  int row_threads;  // of a block that has a row
  int sum_threads;  // of a block that has columns of a sequence, one a thread
};
inline constexpr ModulationTuning modulation_tuning{256, 128};

}  // namespace ashlar::inline v0::ops
