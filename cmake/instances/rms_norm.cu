// Instances of ops/rms_norm for float and bf16.
#include "ashlar/ops/rms_norm/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template void rms_norm<float>(Cuda::Queue&, TensorView<const float, Cuda> x, TensorView<const float, Cuda> residual,
                              TensorView<const float, Cuda> weight, double eps, TensorView<float, Cuda> h,
                              TensorView<float, Cuda> y, TensorView<float, Cuda> rstd);
template void rms_norm<bf16>(Cuda::Queue&, TensorView<const bf16, Cuda> x, TensorView<const bf16, Cuda> residual,
                             TensorView<const bf16, Cuda> weight, double eps, TensorView<bf16, Cuda> h,
                             TensorView<bf16, Cuda> y, TensorView<float, Cuda> rstd);
template void rms_norm_backward<float>(Cuda::Queue&, TensorView<const float, Cuda> dy, TensorView<const float, Cuda> h,
                                       TensorView<const float, Cuda> weight, TensorView<const float, Cuda> rstd,
                                       TensorView<float, Cuda> dx, bool accumulate, TensorView<float, Cuda> dweight,
                                       TensorView<float, Cuda> workspace);
template void rms_norm_backward<bf16>(Cuda::Queue&, TensorView<const bf16, Cuda> dy, TensorView<const bf16, Cuda> h,
                                      TensorView<const bf16, Cuda> weight, TensorView<const float, Cuda> rstd,
                                      TensorView<bf16, Cuda> dx, bool accumulate, TensorView<float, Cuda> dweight,
                                      TensorView<float, Cuda> workspace);

}  // namespace ashlar::inline v0::ops::cuda
