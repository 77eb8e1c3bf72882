// Instances of ops/attention under Bidirectional, for float and bf16.
#include "ashlar/ops/attention/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(attention<Bidirectional, float>) attention<Bidirectional, float>;
template decltype(attention_backward<Bidirectional, float>) attention_backward<Bidirectional, float>;
template decltype(attention<Bidirectional, bf16>) attention<Bidirectional, bf16>;
template decltype(attention_backward<Bidirectional, bf16>) attention_backward<Bidirectional, bf16>;

}  // namespace ashlar::inline v0::ops::cuda
