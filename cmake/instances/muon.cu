// Instances of ops/muon for float and bf16.
#include "ashlar/ops/muon/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(momentum<float>) momentum<float>;
template decltype(momentum<bf16>) momentum<bf16>;
template decltype(normalize<float>) normalize<float>;
template decltype(normalize<bf16>) normalize<bf16>;
template decltype(combine<float>) combine<float>;
template decltype(combine<bf16>) combine<bf16>;
template decltype(descend<float>) descend<float>;
template decltype(descend<bf16>) descend<bf16>;

}  // namespace ashlar::inline v0::ops::cuda
