// The plans of the Hopper kernels (sm_90a, bf16): the tile that a block makes at a time, how it is loaded, and how its
// two multiplying warpgroups share the work. A plan is a value, and a kernel is compiled for one. Read next:
// ops/grouped_gemm/tma/kernel.cuh.
#pragma once

namespace ashlar::inline v0::ops {

/// How two warpgroups share tiles.
///   cooperative: both work on one tile, half of its rows each. The largest tiles, so the fewest bytes to load; the
///                tensor core waits while a tile is stored.
///   ping_pong:   each has a tile of its own, one after the other. One's stores hide under the other's products.
enum class TileSharing { cooperative, ping_pong };

/// How blocks come by their tiles: each every so many, or from a counter of all (tma/tile_order.cuh).
enum class TileOrder { strided, drawn };

struct GroupedGemmPlan {
  TileSharing sharing;
  int rows, cols;  // of a tile of the result
  int depth;       // summed indices that a stage has, a multiple of 64: 128 bytes of a row
  int stages;      // loaded ahead
  int band;        // tiles of rows whose tiles of columns come one after another: what they share stays in the L2 cache
  TileOrder order;

  static constexpr int warpgroups = 2;  // that multiply
  static constexpr int slices = 2;      // that the results of a warp leave through in turns (tma/epilogue.cuh)
  static constexpr int threads() { return 128 * (1 + warpgroups); }

  /// A warpgroup's rows of a tile; one wgmma makes 64 of them.
  constexpr int warpgroup_rows() const { return sharing == TileSharing::cooperative ? rows / warpgroups : rows; }
  constexpr int strips() const { return warpgroup_rows() / 64; }
  /// Registers of a thread that hold sums.
  constexpr int sums() const { return strips() * cols / 2; }
  /// Of a thread, after the start with 168 each. A multiprocessor has 65,536 for the block's three warpgroups. Most
  /// sums and a ring to read: the compiler needs some more.
  constexpr int consumer_registers() const { return sums() > 160 && order == TileOrder::drawn ? 240 : 232; }
  constexpr int producer_registers() const { return 504 - warpgroups * consumer_registers(); }
  constexpr int stage_bytes() const { return (rows + cols) * depth * 2; }
  /// Warpgroups that read a stage.
  constexpr int readers() const { return sharing == TileSharing::cooperative ? warpgroups : 1; }

  constexpr bool valid() const {
    return warpgroup_rows() % 64 == 0 && strips() > 0 && cols % 64 == 0 && cols <= 256 && rows <= 256 &&
           depth % 64 == 0 && stages >= 2 && sums() <= 192 &&
           128 * (producer_registers() + warpgroups * consumer_registers()) <= 65536;
  }
};

}  // namespace ashlar::inline v0::ops
