// Instances of ops/attention under Chunked<BlockCausal>, for bf16: the gradients.
#include "ashlar/ops/attention/cuda.cuh"
#include "ashlar/ops/attention/local_masks.hpp"

namespace ashlar::inline v0::ops::cuda {

template decltype(attention_backward<Chunked<BlockCausal>, bf16>) attention_backward<Chunked<BlockCausal>, bf16>;

}  // namespace ashlar::inline v0::ops::cuda
