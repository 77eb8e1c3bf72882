// Instances of ops/cross_entropy for gradients in float and bf16.
#include "ashlar/ops/cross_entropy/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(cross_entropy_statistics<float>) cross_entropy_statistics<float>;
template decltype(cross_entropy_merge<float>) cross_entropy_merge<float>;
template decltype(cross_entropy_backward<float>) cross_entropy_backward<float>;
template decltype(cross_entropy_backward<bf16>) cross_entropy_backward<bf16>;

}  // namespace ashlar::inline v0::ops::cuda
