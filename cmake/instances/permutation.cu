// Instances of ops/permutation for float and bf16.
#include "ashlar/ops/permutation/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template void sort_by_expert<std::int32_t>(Cuda::Queue&, TensorView<const std::int32_t, Cuda> experts,
                                           TensorView<std::int32_t, Cuda> position,
                                           TensorView<std::int32_t, Cuda> source,
                                           TensorView<std::int32_t, Cuda> offsets,
                                           TensorView<std::int32_t, Cuda> workspace);
template void sort_received<std::int32_t>(Cuda::Queue&, TensorView<const std::int32_t, Cuda> counts,
                                          TensorView<std::int32_t, Cuda> position,
                                          TensorView<std::int32_t, Cuda> source,
                                          TensorView<std::int32_t, Cuda> offsets);
template void permute<float>(Cuda::Queue&, TensorView<const float, Cuda> x, TensorView<const std::int32_t, Cuda> source,
                             index_t top_k, TensorView<float, Cuda> out);
template void permute<bf16>(Cuda::Queue&, TensorView<const bf16, Cuda> x, TensorView<const std::int32_t, Cuda> source,
                            index_t top_k, TensorView<bf16, Cuda> out);
template void permute_backward<float>(Cuda::Queue&, TensorView<const float, Cuda> dout,
                                      TensorView<const std::int32_t, Cuda> position, index_t top_k,
                                      TensorView<float, Cuda> dx, bool accumulate);
template void permute_backward<bf16>(Cuda::Queue&, TensorView<const bf16, Cuda> dout,
                                     TensorView<const std::int32_t, Cuda> position, index_t top_k,
                                     TensorView<bf16, Cuda> dx, bool accumulate);
template void unpermute<float>(Cuda::Queue&, TensorView<const float, Cuda> in,
                               TensorView<const std::int32_t, Cuda> position, TensorView<const float, Cuda> weights,
                               TensorView<float, Cuda> out, bool accumulate);
template void unpermute<bf16>(Cuda::Queue&, TensorView<const bf16, Cuda> in,
                              TensorView<const std::int32_t, Cuda> position, TensorView<const float, Cuda> weights,
                              TensorView<bf16, Cuda> out, bool accumulate);
template void unpermute_backward<float>(Cuda::Queue&, TensorView<const float, Cuda> dy,
                                        TensorView<const float, Cuda> in, TensorView<const std::int32_t, Cuda> position,
                                        TensorView<const float, Cuda> weights, TensorView<float, Cuda> din,
                                        TensorView<float, Cuda> dweights);
template void unpermute_backward<bf16>(Cuda::Queue&, TensorView<const bf16, Cuda> dy, TensorView<const bf16, Cuda> in,
                                       TensorView<const std::int32_t, Cuda> position,
                                       TensorView<const float, Cuda> weights, TensorView<bf16, Cuda> din,
                                       TensorView<float, Cuda> dweights);

}  // namespace ashlar::inline v0::ops::cuda
