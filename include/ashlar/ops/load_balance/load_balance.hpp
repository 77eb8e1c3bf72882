// Load balancing without an auxiliary loss: a bias on the selection follows the counts (Wang et al. 2024,
// arXiv:2408.15664).
#pragma once

#include <cstdint>

#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/device/cuda/cuda.hpp"
#include "ashlar/device/meta.hpp"
#include "ashlar/ops/load_balance/cpu.hpp"

namespace ashlar::inline v0::ops {

namespace cuda {
template <class A>
void update_expert_bias(Cuda::Queue&, TensorView<std::int32_t, Cuda> counts, double coefficient,
                        TensorView<A, Cuda> bias);
}

/// delta_e = coefficient sign(mean(counts) - counts_e); bias_e += delta_e - mean(delta); counts [E] become zero.
template <class A, class D>
void update_expert_bias(typename D::Queue& queue, TensorView<std::int32_t, D> counts, double coefficient,
                        TensorView<A, D> bias) {
  check(counts.count() == bias.count(), "update_expert_bias: counts [E], bias [E]");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(4.0 * bias.count(), counts, counts, bias, bias);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::update_expert_bias<A>(counts, coefficient, bias);
  else
    cuda::update_expert_bias<A>(queue, counts, coefficient, bias);
}

}  // namespace ashlar::inline v0::ops
