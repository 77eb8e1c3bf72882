// Instances of ops/grouped_gemm for float. Those for bf16 are in the files beside this one.
#include "ashlar/ops/grouped_gemm/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(grouped_gemm<float>) grouped_gemm<float>;
template decltype(grouped_gemm_input_gradient<float>) grouped_gemm_input_gradient<float>;
template decltype(grouped_gemm_input_gradient_of_two<float>) grouped_gemm_input_gradient_of_two<float>;
template decltype(grouped_gemm_swiglu<float>) grouped_gemm_swiglu<float>;
template decltype(grouped_gemm_swiglu_backward<float>) grouped_gemm_swiglu_backward<float>;
template decltype(grouped_gemm_weight_gradient<float>) grouped_gemm_weight_gradient<float>;

}  // namespace ashlar::inline v0::ops::cuda
