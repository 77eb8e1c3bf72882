// Instances of ops/grouped_gemm for float and bf16.
#include "ashlar/ops/grouped_gemm/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(grouped_gemm<float>) grouped_gemm<float>;
template decltype(grouped_gemm_input_gradient<float>) grouped_gemm_input_gradient<float>;
template decltype(grouped_gemm_weight_gradient<float>) grouped_gemm_weight_gradient<float>;
template decltype(grouped_gemm<bf16>) grouped_gemm<bf16>;
template decltype(grouped_gemm_input_gradient<bf16>) grouped_gemm_input_gradient<bf16>;
template decltype(grouped_gemm_weight_gradient<bf16>) grouped_gemm_weight_gradient<bf16>;

}  // namespace ashlar::inline v0::ops::cuda
