// Instances of ops/attention under Causal, for bf16.
#include "ashlar/ops/attention/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(attention<Causal, bf16>) attention<Causal, bf16>;

}  // namespace ashlar::inline v0::ops::cuda
