// The load-balancing update on Cpu. Contract: ops/load_balance/load_balance.hpp.
#pragma once

#include <vector>

#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"

namespace ashlar::inline v0::ops::cpu {

template <class A>
void update_expert_bias(TensorView<std::int32_t, Cpu> counts, double coefficient, TensorView<A, Cpu> bias) {
  const index_t n = counts.count();
  double total = 0;
  for (index_t e = 0; e < n; ++e) total += counts.data()[e];
  std::vector<double> delta(static_cast<std::size_t>(n));
  double mean_delta = 0;
  for (index_t e = 0; e < n; ++e) {
    const double difference = total / static_cast<double>(n) - counts.data()[e];
    delta[static_cast<std::size_t>(e)] = coefficient * (difference > 0 ? 1 : difference < 0 ? -1 : 0);
    mean_delta += delta[static_cast<std::size_t>(e)] / static_cast<double>(n);
  }
  for (index_t e = 0; e < n; ++e) {
    bias.data()[e] += static_cast<A>(delta[static_cast<std::size_t>(e)] - mean_delta);
    counts.data()[e] = 0;
  }
}

}  // namespace ashlar::inline v0::ops::cpu
