// Instances of ops/rms_norm for float and bf16.
#include "ashlar/ops/rms_norm/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(rms_norm<float>) rms_norm<float>;
template decltype(rms_norm<bf16>) rms_norm<bf16>;
template decltype(rms_norm_backward<float>) rms_norm_backward<float>;
template decltype(rms_norm_backward<bf16>) rms_norm_backward<bf16>;

}  // namespace ashlar::inline v0::ops::cuda
