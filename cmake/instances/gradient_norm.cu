// Instances of ops/gradient_norm for float, and the sum for bf16.
#include "ashlar/ops/gradient_norm/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(sum_of_squares<float>) sum_of_squares<float>;
template decltype(sum_of_squares<bf16>) sum_of_squares<bf16>;
template decltype(clip_scale<float>) clip_scale<float>;

}  // namespace ashlar::inline v0::ops::cuda
