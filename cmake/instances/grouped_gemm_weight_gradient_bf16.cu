// Instance of ops/grouped_gemm for bf16: grouped_gemm_weight_gradient.
#include "ashlar/ops/grouped_gemm/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(grouped_gemm_weight_gradient<bf16>) grouped_gemm_weight_gradient<bf16>;

}  // namespace ashlar::inline v0::ops::cuda
