// Instances of ops/grouped_gemm for bf16: grouped_gemm_input_gradient and grouped_gemm_input_gradient_of_two.
#include "ashlar/ops/grouped_gemm/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(grouped_gemm_input_gradient<bf16>) grouped_gemm_input_gradient<bf16>;
template decltype(grouped_gemm_input_gradient_of_two<bf16>) grouped_gemm_input_gradient_of_two<bf16>;

}  // namespace ashlar::inline v0::ops::cuda
