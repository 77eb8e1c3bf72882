// Instances of ops/grouped_gemm for bf16: grouped_gemm and grouped_gemm_swiglu.
#include "ashlar/ops/grouped_gemm/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(grouped_gemm<bf16>) grouped_gemm<bf16>;
template decltype(grouped_gemm_swiglu<bf16>) grouped_gemm_swiglu<bf16>;

}  // namespace ashlar::inline v0::ops::cuda
