// Instances of ops/conditioning for float and bf16.
#include "ashlar/ops/conditioning/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(timestep_features<float>) timestep_features<float>;
template decltype(timestep_features<bf16>) timestep_features<bf16>;
template decltype(silu<float>) silu<float>;
template decltype(silu<bf16>) silu<bf16>;
template decltype(silu_backward<float>) silu_backward<float>;
template decltype(silu_backward<bf16>) silu_backward<bf16>;

}  // namespace ashlar::inline v0::ops::cuda
