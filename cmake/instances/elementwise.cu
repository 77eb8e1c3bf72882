// Instances of ops/elementwise for float and bf16.
#include "ashlar/ops/elementwise/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(add<float>) add<float>;
template decltype(add<bf16>) add<bf16>;
template decltype(cast<float, float>) cast<float, float>;
template decltype(cast<float, bf16>) cast<float, bf16>;
template decltype(cast<bf16, float>) cast<bf16, float>;
template decltype(scale<float>) scale<float>;
template decltype(scale<bf16>) scale<bf16>;
template decltype(scale_rows<float>) scale_rows<float>;
template decltype(scale_rows<bf16>) scale_rows<bf16>;
template decltype(sum<float>) sum<float>;
template decltype(count_non_finite<float>) count_non_finite<float>;
template decltype(count_non_finite<bf16>) count_non_finite<bf16>;

}  // namespace ashlar::inline v0::ops::cuda
