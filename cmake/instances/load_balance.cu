// Instances of ops/load_balance.
#include "ashlar/ops/load_balance/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(update_expert_bias<float>) update_expert_bias<float>;

}  // namespace ashlar::inline v0::ops::cuda
