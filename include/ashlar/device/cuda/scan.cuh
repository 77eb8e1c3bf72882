// The running sum over the threads of a block.
#pragma once

#include "ashlar/device/cuda/simt.cuh"

namespace ashlar::inline v0 {

/// The sum of `value` over the lanes up to and with this one.
template <class Context, class A>
ASHLAR_DEVICE A warp_inclusive_scan(const Context& ctx, A value) {
  for (int delta = 1; delta < warp_size; delta *= 2) {
    const A below = ctx.shuffle_up(value, delta);
    if (ctx.lane() >= delta) value += below;
  }
  return value;
}

/// The sum of `value` over the threads before this one, and over all of them.
template <class A>
struct Scanned {
  A before, total;
};

/// All threads of the block must call it; `partial` may be used again at once.
template <class Context, class A>
ASHLAR_DEVICE Scanned<A> block_scan(const Context& ctx, SharedArray<A, warp_size>& partial, A value) {
  const A inclusive = warp_inclusive_scan(ctx, value);
  if (ctx.lane() == warp_size - 1) partial[ctx.warp()] = inclusive;
  ctx.sync();
  A warp_total = 0;
  if (ctx.lane() < ctx.warps()) warp_total = partial[ctx.lane()];
  const A warps = warp_inclusive_scan(ctx, warp_total);
  const A warps_before = ctx.shuffle(warps - warp_total, ctx.warp());
  const A total = ctx.shuffle(warps, warp_size - 1);
  ctx.sync();
  return {warps_before + inclusive - value, total};
}

}  // namespace ashlar::inline v0
