// Instances of ops/permutation for float and bf16.
#include "ashlar/ops/permutation/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(sort_by_expert<std::int32_t>) sort_by_expert<std::int32_t>;
template decltype(sort_received<std::int32_t>) sort_received<std::int32_t>;
template decltype(permute<float>) permute<float>;
template decltype(permute<bf16>) permute<bf16>;
template decltype(permute_backward<float>) permute_backward<float>;
template decltype(permute_backward<bf16>) permute_backward<bf16>;
template decltype(unpermute<float>) unpermute<float>;
template decltype(unpermute<bf16>) unpermute<bf16>;
template decltype(unpermute_backward<float>) unpermute_backward<float>;
template decltype(unpermute_backward<bf16>) unpermute_backward<bf16>;

}  // namespace ashlar::inline v0::ops::cuda
