// Instances of ops/matmul for float, and for bf16 with results in bf16 and in float.
#include "ashlar/ops/matmul/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(matmul<float, float>) matmul<float, float>;
template decltype(matmul<bf16, bf16>) matmul<bf16, bf16>;
template decltype(matmul<bf16, float>) matmul<bf16, float>;

}  // namespace ashlar::inline v0::ops::cuda
