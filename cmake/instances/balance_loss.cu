// Instances of ops/balance_loss.
#include "ashlar/ops/balance_loss/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template decltype(count_choices<std::int32_t>) count_choices<std::int32_t>;
template decltype(balance_loss_backward<float>) balance_loss_backward<float>;

}  // namespace ashlar::inline v0::ops::cuda
