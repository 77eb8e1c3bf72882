// Instances of ops/router for float.
#include "ashlar/ops/router/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(top_k_router<float>) top_k_router<float>;
template decltype(top_k_router_backward<float>) top_k_router_backward<float>;

}  // namespace ashlar::inline v0::ops::cuda
