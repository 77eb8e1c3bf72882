// Instances of ops/attention under Chunked<Causal>, for bf16.
#include "ashlar/ops/attention/cuda.cuh"
#include "ashlar/ops/attention/local_masks.hpp"

namespace ashlar::inline v0::ops::cuda {

template decltype(attention<Chunked<Causal>, bf16>) attention<Chunked<Causal>, bf16>;

}  // namespace ashlar::inline v0::ops::cuda
