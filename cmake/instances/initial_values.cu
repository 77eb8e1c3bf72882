// Instances of ops/initial_values for float and bf16.
#include "ashlar/ops/initial_values/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(draw<float>) draw<float>;
template decltype(draw<bf16>) draw<bf16>;

}  // namespace ashlar::inline v0::ops::cuda
