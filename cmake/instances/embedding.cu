// Instances of ops/embedding for float and bf16.
#include "ashlar/ops/embedding/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template void embedding<float>(Cuda::Queue&, TensorView<const std::int32_t, Cuda> ids,
                               TensorView<const float, Cuda> table, index_t first_id, TensorView<float, Cuda> out);
template void embedding<bf16>(Cuda::Queue&, TensorView<const std::int32_t, Cuda> ids,
                              TensorView<const bf16, Cuda> table, index_t first_id, TensorView<bf16, Cuda> out);
template void embedding_backward<float>(Cuda::Queue&, TensorView<const std::int32_t, Cuda> ids,
                                        TensorView<const float, Cuda> dy, index_t first_id,
                                        TensorView<float, Cuda> dtable, TensorView<std::int32_t, Cuda> workspace);
template void embedding_backward<bf16>(Cuda::Queue&, TensorView<const std::int32_t, Cuda> ids,
                                       TensorView<const bf16, Cuda> dy, index_t first_id,
                                       TensorView<float, Cuda> dtable, TensorView<std::int32_t, Cuda> workspace);

}  // namespace ashlar::inline v0::ops::cuda
