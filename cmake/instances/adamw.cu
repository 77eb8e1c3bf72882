// Instances of ops/adamw for float and bf16.
#include "ashlar/ops/adamw/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(adamw<float>) adamw<float>;
template decltype(adamw<bf16>) adamw<bf16>;

}  // namespace ashlar::inline v0::ops::cuda
