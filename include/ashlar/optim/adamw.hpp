// AdamW over flat ranges: the states of one unit's range, and the step. Used by train/optimizer.hpp.
// Read next: ops/adamw/adamw.hpp.
#pragma once

#include <cmath>

#include "ashlar/ops/adamw/adamw.hpp"
#include "ashlar/tensor/tensor.hpp"

namespace ashlar::inline v0 {

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weight_decay = 0.1;
};

/// exp_avg and exp_avg_sq of n elements, zero at first.
template <class A, Device D>
struct AdamWState {
  AdamWState(Memory<D>& memory, typename D::Queue& queue, index_t n) : exp_avg(memory, {n}), exp_avg_sq(memory, {n}) {
    exp_avg.zero(queue);
    exp_avg_sq.zero(queue);
  }
  Tensor<A, D> exp_avg, exp_avg_sq;
};

/// The numbers of step `step` (1-based) at learning rate `lr`.
inline ops::AdamWStep adamw_step(const AdamWOptions& o, double lr, std::int64_t step) {
  const auto t = static_cast<double>(step);
  return {lr, o.beta1, o.beta2, o.eps, o.weight_decay, 1 - std::pow(o.beta1, t), 1 - std::pow(o.beta2, t)};
}

}  // namespace ashlar::inline v0
