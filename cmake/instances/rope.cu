// Instances of ops/rope for float and bf16.
#include "ashlar/ops/rope/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template void rope<float>(Cuda::Queue&, TensorView<float, Cuda> x, index_t head_dim, index_t seq_len, index_t offset,
                          TensorView<const float, Cuda> table, Direction);
template void rope<bf16>(Cuda::Queue&, TensorView<bf16, Cuda> x, index_t head_dim, index_t seq_len, index_t offset,
                         TensorView<const float, Cuda> table, Direction);

}  // namespace ashlar::inline v0::ops::cuda
