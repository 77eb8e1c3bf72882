// Which tile a block takes next. In strides: block b takes tiles b, b + blocks, b + 2 blocks, .. and every warp knows
// it. Drawn: the producer draws a number from a counter that all blocks share, and the other warps of its block read it
// from a ring. Tiles at the end of a group may be half empty and take half as long: blocks that get such ones then take
// more. Who makes a tile changes no bit of it. Read next: ops/grouped_gemm/tma/tile_walk.cuh.
#pragma once

#include "ashlar/device/cuda/ptx.cuh"
#include "ashlar/ops/grouped_gemm/tma/plan.hpp"
#include "ashlar/ops/grouped_gemm/tma/stage.cuh"

namespace ashlar::inline v0::ops::cuda::grouped {

template <TileOrder Order>
class TileSequence;

template <>
class TileSequence<TileOrder::strided> {
 public:
  struct Shared {};
  ASHLAR_DEVICE static void init(Shared&) {}

  template <class Context>
  ASHLAR_DEVICE TileSequence(const Context& ctx, Shared&, int* /*counter*/, int blocks)
      : next_(static_cast<int>(ctx.block_x())), blocks_(blocks) {}

  template <class Context>
  ASHLAR_DEVICE int draw(const Context& ctx) {
    return read(ctx);
  }
  template <class Context>
  ASHLAR_DEVICE int read(const Context&) {
    const int tile = next_;
    next_ += blocks_;
    return tile;
  }

 private:
  int next_, blocks_;
};

template <>
class TileSequence<TileOrder::drawn> {
 public:
  static constexpr int ahead = 4;  // tiles that the producer may have drawn before they are read
  struct Shared {
    SharedArray<int, ahead> tile;
    ptx::Barrier drawn[ahead], read[ahead];
  };
  ASHLAR_DEVICE static void init(Shared& s) {
    for (int i = 0; i < ahead; ++i) {
      ptx::init(s.drawn[i], 1);
      ptx::init(s.read[i], 4 * GroupedGemmPlan::warpgroups);  // a warp, an arrival
    }
  }

  /// counter: 0 before the launch.
  template <class Context>
  ASHLAR_DEVICE TileSequence(const Context& ctx, Shared& s, int* counter, int blocks)
      : s_(s), counter_(counter), blocks_(blocks), next_(static_cast<int>(ctx.block_x())) {}

  /// By the producer's warp.
  template <class Context>
  ASHLAR_DEVICE int draw(const Context& ctx) {
    const int tile = ctx.shuffle(next_, 0);
    if (ctx.lane() == 0) {
      next_ = blocks_ + ctx.atomic_add(counter_, 1);  // nobody waits for it before the next call
      ptx::wait(s_.read[place_.stage], place_.parity ^ 1);
      s_.tile[place_.stage] = tile;
      ptx::arrive(s_.drawn[place_.stage]);
    }
    place_.next();
    return tile;
  }
  /// By every warp of the consumers: what the producer drew, in order.
  template <class Context>
  ASHLAR_DEVICE int read(const Context& ctx) {
    ptx::wait(s_.drawn[place_.stage], place_.parity);
    const int tile = s_.tile[place_.stage];
    ctx.sync_warp();
    if (ctx.lane() == 0) ptx::arrive(s_.read[place_.stage]);
    place_.next();
    return tile;
  }

 private:
  Shared& s_;
  int* counter_;
  int blocks_, next_;
  Place<ahead> place_;
};

}  // namespace ashlar::inline v0::ops::cuda::grouped
