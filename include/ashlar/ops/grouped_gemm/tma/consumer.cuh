// The multiplying half of the Hopper kernels: a warpgroup's rows of a tile, summed stage by stage in registers.
// Read next: ops/grouped_gemm/tma/epilogue.cuh.
#pragma once

#include "ashlar/ops/grouped_gemm/tma/stage.cuh"
#include "ashlar/ops/grouped_gemm/tma/tile_order.cuh"
#include "ashlar/ops/grouped_gemm/tma/tile_walk.cuh"

namespace ashlar::inline v0::ops::cuda::grouped {

/// Who may multiply, where warpgroups have tiles of their own: one has the ring of stages for a whole tile, then the
/// other for the next. (A barrier tells only two phases apart, so nobody may wait for a stage that is not among the
/// next ones to be filled.) Where they share tiles nobody waits.
template <GroupedGemmPlan Plan>
class Turns {
 public:
  static constexpr bool alternate = Plan.sharing == TileSharing::ping_pong;
  struct Shared {
    ptx::Barrier of[GroupedGemmPlan::warpgroups];
  };
  ASHLAR_DEVICE static void init(Shared& s) {
    for (auto& barrier : s.of) ptx::init(barrier, 4);  // a warp, an arrival
  }

  ASHLAR_DEVICE Turns(Shared& s, int warpgroup) : s_(s), warpgroup_(warpgroup) {}

  /// Before a tile's first stage. The first turn of all is the first warpgroup's.
  ASHLAR_DEVICE void take() {
    if constexpr (alternate) ptx::wait(s_.of[warpgroup_], (turn_++ + 1 + warpgroup_) % 2);
  }
  /// When the tile's last stage has been waited for. Every warp gives: nobody may be left behind by two turns.
  template <class Context>
  ASHLAR_DEVICE void give(const Context& ctx) {
    if constexpr (alternate) {
      ctx.sync_warp();
      if (ctx.lane() == 0) ptx::arrive(s_.of[1 - warpgroup_]);
    }
  }

 private:
  Shared& s_;
  int warpgroup_, turn_ = 0;
};

/// sums[strip] += the product of `Strips` strips of 64 rows, from `row` of the tile on, with all columns, over the
/// tile's stages; `begun`, onto what the sums are, and in place of it otherwise. One stage's products run while the
/// next one's are started, so a stage is given back a step later.
template <int Strips, class Kernel, class Sums>
ASHLAR_DEVICE void multiply(Simt<typename Kernel::Shared>& ctx, Place<Kernel::stages>& place,
                            Turns<Kernel::plan>& turns, int steps, int row, bool leader, bool begun, Sums& sums) {
  using A = typename Kernel::A;
  using B = typename Kernel::B;
  typename Kernel::Shared& s = ctx.shared();
  turns.take();
  int before = 0;  // the stage of the step before
  for (int step = 0; step < steps; ++step, place.next()) {
    ptx::wait(s.full[place.stage], place.parity);
    auto& [a, b] = s.stages[place.stage];
#pragma unroll
    for (int strip = 0; strip < Strips; ++strip) ptx::hold(sums[strip]);
    ptx::wgmma_fence();
#pragma unroll
    for (int k = 0; k < Kernel::plan.depth / 16; ++k)
#pragma unroll
      for (int strip = 0; strip < Strips; ++strip)
        ptx::wgmma_ss<A::transposed, B::transposed>(sums[strip], a.factor(row + 64 * strip, k), b.factor(0, k),
                                                    begun || step + k > 0);
    ptx::wgmma_commit();
    ptx::wgmma_wait<1>();
    if (leader && step > 0) ptx::arrive(s.empty[before]);
    before = place.stage;
  }
  turns.give(ctx);
  ptx::wgmma_wait<0>();
#pragma unroll
  for (int strip = 0; strip < Strips; ++strip) ptx::hold(sums[strip]);
  if (leader && steps > 0) ptx::arrive(s.empty[before]);
}

/// The stages of a tile of which this warpgroup has no rows. It keeps in step, as its products would make it.
template <class Kernel>
ASHLAR_DEVICE void pass(Simt<typename Kernel::Shared>& ctx, Place<Kernel::stages>& place, int steps, int warpgroup) {
  typename Kernel::Shared& s = ctx.shared();
  for (int step = 0; step < steps; ++step, place.next()) {
    ptx::wait(s.full[place.stage], place.parity);
    ctx.sync(1 + warpgroup, 128);
    if (ctx.thread() % 128 == 0) ptx::arrive(s.empty[place.stage]);
  }
}

/// All tiles of warpgroup `warpgroup`, 0 or 1.
template <class Kernel>
ASHLAR_DEVICE void consume(const typename Kernel::Params& p, Simt<typename Kernel::Shared>& ctx, int warpgroup) {
  constexpr GroupedGemmPlan plan = Kernel::plan;
  typename Kernel::Shared& s = ctx.shared();
  typename Kernel::Walk walk(ctx, p.problem);
  typename Kernel::Epilogue epilogue(ctx, p.problem, p.result, s.staging[ctx.warp() - 4]);
  typename Kernel::Order order(ctx, s.order, p.problem.counter, p.problem.blocks);
  Place<Kernel::stages> place;
  Turns<plan> turns(s.turns, warpgroup);
  const bool leader = ctx.thread() % 128 == 0;
  const int first = turns.alternate ? 0 : warpgroup * plan.warpgroup_rows();  // of the warpgroup's rows of a tile

  Tile tile;
  for (int i = 0; walk.find(ctx, order.read(ctx), tile); ++i) {
    if (turns.alternate && i % 2 != warpgroup) {
      place.skip(tile.steps);
      continue;
    }
    float sums[plan.strips()][plan.cols / 2];
    const int strips = Kernel::strips_with_rows(p.problem, tile, first);
    if (strips <= 0) {
      pass<Kernel>(ctx, place, tile.steps, warpgroup);
      continue;
    }
    const bool begun = epilogue.begin(ctx, tile, first, sums) || tile.steps == 0;
#pragma unroll
    for (auto& strip : sums) ptx::hold(strip);
    if (plan.strips() == 1 || strips >= plan.strips())
      multiply<plan.strips(), Kernel>(ctx, place, turns, tile.steps, first, leader, begun, sums);
    else
      multiply<1, Kernel>(ctx, place, turns, tile.steps, first, leader, begun, sums);
#pragma unroll
    for (int strip = 0; strip < plan.strips(); ++strip)
      if (strip < strips) epilogue.put(ctx, tile, first + 64 * strip, sums[strip]);
  }
  epilogue.finish(ctx);
}

}  // namespace ashlar::inline v0::ops::cuda::grouped
