// Instances of ops/load_balance.
#include "ashlar/ops/load_balance/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template void update_expert_bias<float>(Cuda::Queue&, TensorView<std::int32_t, Cuda> counts, double coefficient,
                                        TensorView<float, Cuda> bias);

}  // namespace ashlar::inline v0::ops::cuda
