// Instances of ops/grouped_gemm for bf16: grouped_gemm_input_gradient, grouped_gemm_input_gradient_of_two,
// grouped_gemm_swiglu_backward.
#include "ashlar/ops/grouped_gemm/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(grouped_gemm_input_gradient<bf16>) grouped_gemm_input_gradient<bf16>;
template decltype(grouped_gemm_input_gradient_of_two<bf16>) grouped_gemm_input_gradient_of_two<bf16>;
template decltype(grouped_gemm_swiglu_backward<bf16>) grouped_gemm_swiglu_backward<bf16>;

}  // namespace ashlar::inline v0::ops::cuda
