// Instances of ops/attention under BlockCausal, for float and bf16.
#include "ashlar/ops/attention/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(attention<BlockCausal, float>) attention<BlockCausal, float>;
template decltype(attention_backward<BlockCausal, float>) attention_backward<BlockCausal, float>;
template decltype(attention<BlockCausal, bf16>) attention<BlockCausal, bf16>;
template decltype(attention_backward<BlockCausal, bf16>) attention_backward<BlockCausal, bf16>;

}  // namespace ashlar::inline v0::ops::cuda
