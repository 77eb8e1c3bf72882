// Instances of ops/modulation for float and bf16.
#include "ashlar/ops/modulation/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(modulate<float>) modulate<float>;
template decltype(modulate<bf16>) modulate<bf16>;
template decltype(modulate_backward<float>) modulate_backward<float>;
template decltype(modulate_backward<bf16>) modulate_backward<bf16>;
template decltype(add_gated<float>) add_gated<float>;
template decltype(add_gated<bf16>) add_gated<bf16>;
template decltype(add_gated_backward<float>) add_gated_backward<float>;
template decltype(add_gated_backward<bf16>) add_gated_backward<bf16>;

}  // namespace ashlar::inline v0::ops::cuda
