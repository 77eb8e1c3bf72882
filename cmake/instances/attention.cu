// Instances of ops/attention under Causal, for float, and what no mask changes.
#include "ashlar/ops/attention/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(attention<Causal, float>) attention<Causal, float>;
template decltype(attention_backward<Causal, float>) attention_backward<Causal, float>;
template decltype(attention_delta<float>) attention_delta<float>;
template decltype(attention_delta<bf16>) attention_delta<bf16>;

}  // namespace ashlar::inline v0::ops::cuda
