// Grouped GEMM on Hopper, the whole: a block as large as a multiprocessor makes one tile of the result after another.
//
//   producer (a warp)       full[i]        consumers (two warpgroups)         result
//   copy engine fills ------------------->  wgmma sums in registers  --+
//   stages 0, 1, 2, ...  <-------------------                          +-->  shared memory --> copy engine
//                           empty[i]       the next tile's stages          (16 rows a warp)
//                                          are filled meanwhile
//
// Three loops meet at two arrays of barriers, and each finds its tiles by itself. In order of reading: tile_order.cuh,
// tile_walk.cuh,
// stage.cuh, products.cuh, producer.cuh, consumer.cuh, epilogue.cuh, launch.cuh.
#pragma once

#include "ashlar/ops/grouped_gemm/tma/consumer.cuh"
#include "ashlar/ops/grouped_gemm/tma/epilogue.cuh"
#include "ashlar/ops/grouped_gemm/tma/producer.cuh"
#include "ashlar/ops/grouped_gemm/tma/products.cuh"

namespace ashlar::inline v0::ops::cuda::grouped {

template <template <GroupedGemmPlan> class ProductOf, template <GroupedGemmPlan> class ResultOf, GroupedGemmPlan Plan>
struct GroupedProduct {
  static_assert(Plan.valid());
  static constexpr GroupedGemmPlan plan = Plan;
  static constexpr int stages = Plan.stages;
  using Product = ProductOf<Plan>;
  using Epilogue = ResultOf<Plan>;
  using Walk = TileWalk<Product::by, Plan>;
  using Order = TileSequence<Plan.order>;
  using A = typename Product::A;
  using B = typename Product::B;

  static constexpr int threads = GroupedGemmPlan::threads(), min_blocks = 1, arch = 90;
  struct Params {
    Problem problem;
    typename Product::Factors factors;
    typename Epilogue::Params result;
  };
  struct Stage {
    A a;
    B b;
  };
  struct Shared {
    Stage stages[Plan.stages];
    typename Epilogue::Staging staging[4 * GroupedGemmPlan::warpgroups];  // a warp has one
    ptx::Barrier full[Plan.stages], empty[Plan.stages];
    typename Turns<Plan>::Shared turns;
    typename Order::Shared order;
  };

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    Shared& s = ctx.shared();
    if (ctx.thread() == 0) {
      for (int i = 0; i < stages; ++i) {
        ptx::init(s.full[i], 1);
        ptx::init(s.empty[i], Plan.readers());
      }
      Order::init(s.order);
      Turns<Plan>::init(s.turns);
      ptx::fence_barrier_init();
    }
    ctx.sync();
    if (ctx.warp() < 4) {
      ptx::fewer_registers<Plan.producer_registers()>();
      if (ctx.warp() == 0) produce<GroupedProduct>(p, ctx);
    } else {
      ptx::more_registers<Plan.consumer_registers()>();
      consume<GroupedProduct>(p, ctx, ctx.warp() / 4 - 1);
    }
  }

  /// Strips of 64 rows, from row `row` of the tile on, in which there are rows of the result.
  ASHLAR_DEVICE static int strips_with_rows(const Problem& p, const Tile& tile, int row) {
    const int rows = (Product::by == Grouped::result ? tile.rows : p.rows) - tile.row - row;
    return (rows + 63) / 64;
  }
};

}  // namespace ashlar::inline v0::ops::cuda::grouped
