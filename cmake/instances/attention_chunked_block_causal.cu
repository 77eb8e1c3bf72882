// Instances of ops/attention under Chunked<BlockCausal>, for float.
#include "ashlar/ops/attention/cuda.cuh"
#include "ashlar/ops/attention/local_masks.hpp"

namespace ashlar::inline v0::ops::cuda {

template decltype(attention<Chunked<BlockCausal>, float>) attention<Chunked<BlockCausal>, float>;
template decltype(attention_backward<Chunked<BlockCausal>, float>) attention_backward<Chunked<BlockCausal>, float>;

}  // namespace ashlar::inline v0::ops::cuda
