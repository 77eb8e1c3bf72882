// Instances of ops/router for float.
#include "ashlar/ops/router/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template void top_k_router<float>(Cuda::Queue&, const RouterOptions& options, TensorView<const float, Cuda> logits,
                                  TensorView<const float, Cuda> bias, TensorView<float, Cuda> probabilities,
                                  TensorView<std::int32_t, Cuda> experts, TensorView<float, Cuda> weights,
                                  TensorView<std::int32_t, Cuda> counts);
template void top_k_router_backward<float>(Cuda::Queue&, const RouterOptions& options,
                                           TensorView<const float, Cuda> probabilities,
                                           TensorView<const std::int32_t, Cuda> experts,
                                           TensorView<const float, Cuda> dweights, TensorView<float, Cuda> dlogits);

}  // namespace ashlar::inline v0::ops::cuda
