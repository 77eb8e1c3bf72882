// Instances of ops/cross_entropy for gradients in float and bf16.
#include "ashlar/ops/cross_entropy/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template void cross_entropy_statistics<float>(Cuda::Queue&, TensorView<const float, Cuda> logits,
                                              TensorView<const std::int32_t, Cuda> targets, index_t first_id,
                                              TensorView<float, Cuda> statistics);
template void cross_entropy_merge<float>(Cuda::Queue&, TensorView<const float, Cuda> shards,
                                         TensorView<float, Cuda> statistics);
template void cross_entropy_backward<float>(Cuda::Queue&, TensorView<const float, Cuda> logits,
                                            TensorView<const std::int32_t, Cuda> targets, index_t first_id,
                                            TensorView<const float, Cuda> statistics, double scale,
                                            TensorView<float, Cuda> dlogits, TensorView<float, Cuda> loss);
template void cross_entropy_backward<bf16>(Cuda::Queue&, TensorView<const float, Cuda> logits,
                                           TensorView<const std::int32_t, Cuda> targets, index_t first_id,
                                           TensorView<const float, Cuda> statistics, double scale,
                                           TensorView<bf16, Cuda> dlogits, TensorView<float, Cuda> loss);

}  // namespace ashlar::inline v0::ops::cuda
