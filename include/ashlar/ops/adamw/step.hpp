// The numbers of one AdamW step. Read next: ops/adamw/adamw.hpp.
#pragma once

namespace ashlar::inline v0::ops {

/// For step t = 1, 2, ...: bias_correction1 = 1 - beta1^t, bias_correction2 = 1 - beta2^t.
struct AdamWStep {
  double lr, beta1, beta2, eps, weight_decay, bias_correction1, bias_correction2;
};

}  // namespace ashlar::inline v0::ops
