// Instances of ops/attention under Causal, for float.
#include "ashlar/ops/attention/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(attention<Causal, float>) attention<Causal, float>;
template decltype(attention_backward<Causal, float>) attention_backward<Causal, float>;

}  // namespace ashlar::inline v0::ops::cuda
