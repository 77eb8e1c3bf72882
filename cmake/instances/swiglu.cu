// Instances of ops/swiglu for float and bf16.
#include "ashlar/ops/swiglu/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(swiglu<float>) swiglu<float>;
template decltype(swiglu<bf16>) swiglu<bf16>;
template decltype(swiglu_backward<float>) swiglu_backward<float>;
template decltype(swiglu_backward<bf16>) swiglu_backward<bf16>;

}  // namespace ashlar::inline v0::ops::cuda
