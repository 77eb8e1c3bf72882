// Instances of ops/attention under Chunked<Causal>, for float.
#include "ashlar/ops/attention/cuda.cuh"
#include "ashlar/ops/attention/local_masks.hpp"

namespace ashlar::inline v0::ops::cuda {

template decltype(attention<Chunked<Causal>, float>) attention<Chunked<Causal>, float>;
template decltype(attention_backward<Chunked<Causal>, float>) attention_backward<Chunked<Causal>, float>;

}  // namespace ashlar::inline v0::ops::cuda
