// Instances of ops/grouped_gemm for float and bf16.
#include "ashlar/ops/grouped_gemm/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template void grouped_gemm<float>(Cuda::Queue&, TensorView<const float, Cuda> x, TensorView<const float, Cuda> w,
                                  TensorView<const std::int32_t, Cuda> offsets, TensorView<float, Cuda> y);
template void grouped_gemm_input_gradient<float>(Cuda::Queue&, TensorView<const float, Cuda> dy,
                                                 TensorView<const float, Cuda> w,
                                                 TensorView<const std::int32_t, Cuda> offsets,
                                                 TensorView<float, Cuda> dx, bool accumulate);
template void grouped_gemm_weight_gradient<float>(Cuda::Queue&, TensorView<const float, Cuda> dy,
                                                  TensorView<const float, Cuda> x,
                                                  TensorView<const std::int32_t, Cuda> offsets,
                                                  TensorView<float, Cuda> dw);
template void grouped_gemm<bf16>(Cuda::Queue&, TensorView<const bf16, Cuda> x, TensorView<const bf16, Cuda> w,
                                 TensorView<const std::int32_t, Cuda> offsets, TensorView<bf16, Cuda> y);
template void grouped_gemm_input_gradient<bf16>(Cuda::Queue&, TensorView<const bf16, Cuda> dy,
                                                TensorView<const bf16, Cuda> w,
                                                TensorView<const std::int32_t, Cuda> offsets, TensorView<bf16, Cuda> dx,
                                                bool accumulate);
template void grouped_gemm_weight_gradient<bf16>(Cuda::Queue&, TensorView<const bf16, Cuda> dy,
                                                 TensorView<const bf16, Cuda> x,
                                                 TensorView<const std::int32_t, Cuda> offsets,
                                                 TensorView<float, Cuda> dw);

}  // namespace ashlar::inline v0::ops::cuda
