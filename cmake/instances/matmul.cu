// Instances of ops/matmul for float, and for bf16 with results in bf16 and in float.
#include "ashlar/ops/matmul/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template void matmul<float, float>(Cuda::Queue&, TensorView<const float, Cuda> a, Transpose ta,
                                   TensorView<const float, Cuda> b, Transpose tb, TensorView<float, Cuda> c,
                                   double beta);
template void matmul<bf16, bf16>(Cuda::Queue&, TensorView<const bf16, Cuda> a, Transpose ta,
                                 TensorView<const bf16, Cuda> b, Transpose tb, TensorView<bf16, Cuda> c, double beta);
template void matmul<bf16, float>(Cuda::Queue&, TensorView<const bf16, Cuda> a, Transpose ta,
                                  TensorView<const bf16, Cuda> b, Transpose tb, TensorView<float, Cuda> c, double beta);

}  // namespace ashlar::inline v0::ops::cuda
