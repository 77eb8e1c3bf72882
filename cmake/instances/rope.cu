// Instances of ops/rope for float and bf16.
#include "ashlar/ops/rope/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(rope<float>) rope<float>;
template decltype(rope<bf16>) rope<bf16>;

}  // namespace ashlar::inline v0::ops::cuda
