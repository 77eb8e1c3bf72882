// Instances of ops/heads for float and bf16.
#include "ashlar/ops/heads/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(move_heads<float>) move_heads<float>;
template decltype(move_heads<bf16>) move_heads<bf16>;

}  // namespace ashlar::inline v0::ops::cuda
