// The loading half of the Hopper kernels: one warp, of which one lane has the copy engine fill stage after stage, as
// far ahead of the products as there are stages. It runs on into the next tile while the one before is still being
// stored. Read next: ops/grouped_gemm/tma/consumer.cuh.
#pragma once

#include "ashlar/ops/grouped_gemm/tma/stage.cuh"
#include "ashlar/ops/grouped_gemm/tma/tile_order.cuh"
#include "ashlar/ops/grouped_gemm/tma/tile_walk.cuh"

namespace ashlar::inline v0::ops::cuda::grouped {

template <class Kernel>
ASHLAR_DEVICE void produce(const typename Kernel::Params& p, Simt<typename Kernel::Shared>& ctx) {
  typename Kernel::Shared& s = ctx.shared();
  typename Kernel::Walk walk(ctx, p.problem);
  typename Kernel::Order order(ctx, s.order, p.problem.counter, p.problem.blocks);
  Place<Kernel::stages> place;
  Tile tile;
  while (walk.find(ctx, order.draw(ctx), tile)) {
    if (ctx.lane() == 0)
      for (int step = 0; step < tile.steps; ++step, place.next()) {
        ptx::wait(s.empty[place.stage], place.parity ^ 1);  // the first time round, nobody has to leave
        ptx::arrive_expecting(s.full[place.stage], Kernel::plan.stage_bytes());
        auto& [a, b] = s.stages[place.stage];
        Kernel::Product::load(p.factors, tile, step, a, b, s.full[place.stage]);
      }
    ctx.sync_warp();
  }
}

}  // namespace ashlar::inline v0::ops::cuda::grouped
