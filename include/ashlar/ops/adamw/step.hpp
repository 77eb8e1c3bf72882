// The numbers of one AdamW step. Read next: ops/adamw/adamw.hpp.
#pragma once

namespace ashlar::inline v0::ops {

/// For step t = 1, 2, ...: bias_correction1 = 1 - beta1^t, bias_correction2 = 1 - beta2^t. `coupled`: the decay is a
/// part of the gradient, as in Adam (Kingma and Ba 2015, arXiv:1412.6980), and not of the step.
struct AdamWStep {
  double lr, beta1, beta2, eps, weight_decay, bias_correction1, bias_correction2;
  bool coupled = false;

  double decay() const { return coupled ? 1 : 1 - lr * weight_decay; }
  double added() const { return coupled ? weight_decay : 0; }
};

}  // namespace ashlar::inline v0::ops
