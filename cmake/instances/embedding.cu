// Instances of ops/embedding for float and bf16.
#include "ashlar/ops/embedding/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(embedding<float>) embedding<float>;
template decltype(embedding<bf16>) embedding<bf16>;
template decltype(embedding_backward<float>) embedding_backward<float>;
template decltype(embedding_backward<bf16>) embedding_backward<bf16>;

}  // namespace ashlar::inline v0::ops::cuda
