// Sums and maxima over the threads of a warp and of a block. The order of additions depends on the number of threads
// alone, and every thread gets the same bits. Read next: device/cuda/grid_sum.cuh, ops/rms_norm/cuda.cuh.
#pragma once

#include "ashlar/device/cuda/simt.cuh"

namespace ashlar::inline v0 {

/// The sum of `value` over the warp, in every lane. All lanes must call it.
template <class Context, class A>
ASHLAR_DEVICE A warp_sum(const Context& ctx, A value) {
  for (int lanes = warp_size / 2; lanes > 0; lanes /= 2) value += ctx.shuffle_xor(value, lanes);
  return value;
}

/// The largest `value` of the warp, in every lane. NaN is passed over where there is another value.
template <class Context, class A>
ASHLAR_DEVICE A warp_max(const Context& ctx, A value) {
  for (int lanes = warp_size / 2; lanes > 0; lanes /= 2) {
    const A other = ctx.shuffle_xor(value, lanes);
    value = other > value || value != value ? other : value;
  }
  return value;
}

/// The sum of `value` over the block, in every thread. All threads must call it; `partial` may be used again at once.
template <class Context, class A>
ASHLAR_DEVICE A block_sum(const Context& ctx, SharedArray<A, warp_size>& partial, A value) {
  value = warp_sum(ctx, value);
  if (ctx.lane() == 0) partial[ctx.warp()] = value;
  ctx.sync();
  A total = 0;
  if (ctx.lane() < ctx.warps()) total = partial[ctx.lane()];
  total = warp_sum(ctx, total);
  ctx.sync();
  return total;
}

}  // namespace ashlar::inline v0
