// Instances of ops/swiglu for float and bf16.
#include "ashlar/ops/swiglu/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template void swiglu<float>(Cuda::Queue&, TensorView<const float, Cuda> gate, TensorView<const float, Cuda> up,
                            TensorView<float, Cuda> h);
template void swiglu<bf16>(Cuda::Queue&, TensorView<const bf16, Cuda> gate, TensorView<const bf16, Cuda> up,
                           TensorView<bf16, Cuda> h);
template void swiglu_backward<float>(Cuda::Queue&, TensorView<const float, Cuda> dh, TensorView<const float, Cuda> gate,
                                     TensorView<const float, Cuda> up, TensorView<float, Cuda> dgate,
                                     TensorView<float, Cuda> dup);
template void swiglu_backward<bf16>(Cuda::Queue&, TensorView<const bf16, Cuda> dh, TensorView<const bf16, Cuda> gate,
                                    TensorView<const bf16, Cuda> up, TensorView<bf16, Cuda> dgate,
                                    TensorView<bf16, Cuda> dup);

}  // namespace ashlar::inline v0::ops::cuda
