// Instances of ops/squared_error for float and bf16.
#include "ashlar/ops/squared_error/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(squared_error<float>) squared_error<float>;
template decltype(squared_error<bf16>) squared_error<bf16>;

}  // namespace ashlar::inline v0::ops::cuda
