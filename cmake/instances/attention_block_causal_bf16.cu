// Instances of ops/attention under BlockCausal, for bf16.
#include "ashlar/ops/attention/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(attention<BlockCausal, bf16>) attention<BlockCausal, bf16>;

}  // namespace ashlar::inline v0::ops::cuda
