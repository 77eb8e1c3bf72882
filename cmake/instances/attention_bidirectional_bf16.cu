// Instances of ops/attention under Bidirectional, for bf16.
#include "ashlar/ops/attention/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(attention<Bidirectional, bf16>) attention<Bidirectional, bf16>;

}  // namespace ashlar::inline v0::ops::cuda
