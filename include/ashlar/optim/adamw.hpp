// AdamW over flat ranges: the states of one unit's range, and the step. Read next: ops/adamw/adamw.hpp.
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
class AdamWState {
 public:
  AdamWState(Memory<D>& memory, typename D::Queue& queue, index_t n) : moments_(memory, {2, n}) {
    moments_.zero(queue);
  }
  TensorView<A, D> exp_avg() const { return moment(0); }     // [n]
  TensorView<A, D> exp_avg_sq() const { return moment(1); }  // [n]

 private:
  TensorView<A, D> moment(index_t i) const { return moments_.view().rows(i, 1).reshaped({moments_.shape()[1]}); }

  Tensor<A, D> moments_;  // [2, n]: exp_avg, exp_avg_sq
};

/// The numbers of step `step` (1-based) at learning rate `lr`.
inline ops::AdamWStep adamw_step(const AdamWOptions& o, double lr, std::int64_t step) {
  const auto t = static_cast<double>(step);
  return {lr, o.beta1, o.beta2, o.eps, o.weight_decay, 1 - std::pow(o.beta1, t), 1 - std::pow(o.beta2, t)};
}

}  // namespace ashlar::inline v0
