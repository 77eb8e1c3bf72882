// Instances of ops/attention under Causal, for bf16: the gradients.
#include "ashlar/ops/attention/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(attention_backward<Causal, bf16>) attention_backward<Causal, bf16>;

}  // namespace ashlar::inline v0::ops::cuda
