// Instances of ops/attention under Bidirectional, for float.
#include "ashlar/ops/attention/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(attention<Bidirectional, float>) attention<Bidirectional, float>;
template decltype(attention_backward<Bidirectional, float>) attention_backward<Bidirectional, float>;

}  // namespace ashlar::inline v0::ops::cuda
