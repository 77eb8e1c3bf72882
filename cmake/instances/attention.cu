// Instances of ops/attention under Causal, for float and bf16.
#include "ashlar/ops/attention/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template void attention<Causal, float>(Cuda::Queue&, const AttentionShape& shape, const Causal::State& mask,
                                       TensorView<const float, Cuda> query, TensorView<const float, Cuda> key,
                                       TensorView<const float, Cuda> value, TensorView<float, Cuda> out,
                                       TensorView<float, Cuda> lse);
template void attention_backward<Causal, float>(Cuda::Queue&, const AttentionShape& shape, const Causal::State& mask,
                                                TensorView<const float, Cuda> query, TensorView<const float, Cuda> key,
                                                TensorView<const float, Cuda> value, TensorView<const float, Cuda> out,
                                                TensorView<const float, Cuda> lse, TensorView<const float, Cuda> dout,
                                                TensorView<float, Cuda> dquery, TensorView<float, Cuda> dkey,
                                                TensorView<float, Cuda> dvalue, TensorView<float, Cuda> delta);
template void attention<Causal, bf16>(Cuda::Queue&, const AttentionShape& shape, const Causal::State& mask,
                                      TensorView<const bf16, Cuda> query, TensorView<const bf16, Cuda> key,
                                      TensorView<const bf16, Cuda> value, TensorView<bf16, Cuda> out,
                                      TensorView<float, Cuda> lse);
template void attention_backward<Causal, bf16>(Cuda::Queue&, const AttentionShape& shape, const Causal::State& mask,
                                               TensorView<const bf16, Cuda> query, TensorView<const bf16, Cuda> key,
                                               TensorView<const bf16, Cuda> value, TensorView<const bf16, Cuda> out,
                                               TensorView<const float, Cuda> lse, TensorView<const bf16, Cuda> dout,
                                               TensorView<bf16, Cuda> dquery, TensorView<bf16, Cuda> dkey,
                                               TensorView<bf16, Cuda> dvalue, TensorView<float, Cuda> delta);

}  // namespace ashlar::inline v0::ops::cuda
