// Instances of ops/attention under BlockCausal, for bf16: the gradients.
#include "ashlar/ops/attention/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(attention_backward<BlockCausal, bf16>) attention_backward<BlockCausal, bf16>;

}  // namespace ashlar::inline v0::ops::cuda
