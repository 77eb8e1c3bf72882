// Instances of ops/adamw for float and bf16.
#include "ashlar/ops/adamw/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template void adamw<float>(Cuda::Queue&, const AdamWStep& step, TensorView<const float, Cuda> gradient_scale,
                           TensorView<const float, Cuda> gradient, TensorView<float, Cuda> parameter,
                           TensorView<float, Cuda> exp_avg, TensorView<float, Cuda> exp_avg_sq,
                           TensorView<float, Cuda> compute_copy);
template void adamw<bf16>(Cuda::Queue&, const AdamWStep& step, TensorView<const float, Cuda> gradient_scale,
                          TensorView<const float, Cuda> gradient, TensorView<float, Cuda> parameter,
                          TensorView<float, Cuda> exp_avg, TensorView<float, Cuda> exp_avg_sq,
                          TensorView<bf16, Cuda> compute_copy);

}  // namespace ashlar::inline v0::ops::cuda
