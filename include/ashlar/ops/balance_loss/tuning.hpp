// Numbers of the balance loss's kernels. Read next: ops/balance_loss/cuda.cuh.
#pragma once

namespace ashlar::inline v0::ops {

struct BalanceLossTuning {
  int threads;  // of a block; a warp has a row
};
inline constexpr BalanceLossTuning balance_loss_tuning{256};

}  // namespace ashlar::inline v0::ops
