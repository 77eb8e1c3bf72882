// Who multiplies: what a recipe's GroupedGemm<...> says to the launchers. Read next: ops/grouped_gemm/cuda.cuh.
#pragma once

namespace ashlar::inline v0::ops {

/// Which kernels run on Cuda. automatic: those of ops/grouped_gemm/tma for bf16 on a Hopper GPU where the copy engine
/// can address the views (16-byte aligned rows), the plain ones for all else. tma: Error says what stands against it.
enum class GroupedGemmKernel { automatic, plain, tma };

}  // namespace ashlar::inline v0::ops
