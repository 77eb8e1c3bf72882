// Instances of ops/attention under BlockCausal, for float.
#include "ashlar/ops/attention/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(attention<BlockCausal, float>) attention<BlockCausal, float>;
template decltype(attention_backward<BlockCausal, float>) attention_backward<BlockCausal, float>;

}  // namespace ashlar::inline v0::ops::cuda
