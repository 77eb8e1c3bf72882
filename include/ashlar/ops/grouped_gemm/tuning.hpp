// Numbers of the grouped GEMM kernels. Read next: ops/grouped_gemm/cuda.cuh.
#pragma once

namespace ashlar::inline v0::ops {

struct GroupedGemmTuning {
  int micro;  // a thread has micro x micro elements of a block's tile [16 micro, 16 micro]
  int depth;  // summed indices that go through shared memory at a time
};
inline constexpr GroupedGemmTuning grouped_gemm_tuning{4, 32};

}  // namespace ashlar::inline v0::ops
