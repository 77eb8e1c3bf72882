// Instances of ops/elementwise for float and bf16.
#include "ashlar/ops/elementwise/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template void add<float>(Cuda::Queue&, TensorView<const float, Cuda> a, TensorView<const float, Cuda> b,
                         TensorView<float, Cuda> out);
template void add<bf16>(Cuda::Queue&, TensorView<const bf16, Cuda> a, TensorView<const bf16, Cuda> b,
                        TensorView<bf16, Cuda> out);
template void cast<float, bf16>(Cuda::Queue&, TensorView<const float, Cuda> x, TensorView<bf16, Cuda> out);
template void cast<bf16, float>(Cuda::Queue&, TensorView<const bf16, Cuda> x, TensorView<float, Cuda> out);
template void sum<float>(Cuda::Queue&, TensorView<const float, Cuda> x, TensorView<double, Cuda> total,
                         TensorView<double, Cuda> workspace);
template void count_non_finite<float>(Cuda::Queue&, TensorView<const float, Cuda> x,
                                      TensorView<std::int32_t, Cuda> count);
template void count_non_finite<bf16>(Cuda::Queue&, TensorView<const bf16, Cuda> x,
                                     TensorView<std::int32_t, Cuda> count);

}  // namespace ashlar::inline v0::ops::cuda
