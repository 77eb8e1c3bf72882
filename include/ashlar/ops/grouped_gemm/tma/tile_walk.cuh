// Where a tile is, given its number. The tiles of all groups have numbers in order; how many a group has is known on
// the device alone, so every warp that needs to know walks along the group ends by itself, 32 groups at a time, a lane
// each. Nothing is exchanged. Read next: ops/grouped_gemm/tma/producer.cuh.
#pragma once

#include <cstdint>

#include "ashlar/device/cuda/simt.cuh"
#include "ashlar/ops/grouped_gemm/tma/plan.hpp"

namespace ashlar::inline v0::ops::cuda::grouped {

/// What the groups cut: the rows of the result (output, input gradient), or the rows that are summed over (weight
/// gradient: a result of `rows` x `cols` for each group).
enum class Grouped { result, sum };

struct Problem {
  const std::int32_t* offsets;  // [groups + 1] on the device
  int groups;
  int rows, cols;   // of the result: of all groups together, or of each
  int depth;        // summed indices, unless the groups have them
  int blocks;       // of the launch
  bool accumulate;  // into the result
  int* counter;     // of tiles that were drawn (TileOrder::drawn): 0
};

/// A tile of the result: from (row, col) on, of a group that has the rows [begin, begin + rows) of the input.
struct Tile {
  int group, begin, rows;
  int row, col;
  int steps;  // stages that its sums take; 0: it is zero
};

template <Grouped By, GroupedGemmPlan Plan>
class TileWalk {
 public:
  template <class Context>
  ASHLAR_DEVICE TileWalk(const Context& ctx, const Problem& p) : p_(p) {
    look(ctx);
  }

  /// Tile number `index`, which is never less than in the call before. False past the last. All lanes of a warp call it
  /// together and get the same.
  template <class Context>
  ASHLAR_DEVICE bool find(const Context& ctx, int index, Tile& tile) {
    for (int past; index >= (past = ctx.shuffle(end_, warp_size - 1));) {
      if ((first_ += warp_size) >= entries()) return false;
      before_ = past;
      look(ctx);
    }
    // Lanes whose tiles all come before are the first ones; the next has it.
    const int owner = __builtin_popcount(ctx.ballot(index >= end_));
    const int start = ctx.shuffle(end_, owner > 0 ? owner - 1 : 0);
    const int local = index - (owner > 0 ? start : before_);
    tile.group = first_ + owner;
    tile.begin = begin_of(ctx, tile.group);
    tile.rows = end_of(ctx, tile.group) - tile.begin;
    const int summed = By == Grouped::sum ? tile.rows : tile.group < p_.groups ? p_.depth : 0;
    tile.steps = ceil(summed, Plan.depth);

    // Tile after tile down a band, then the next column.
    const int row_tiles = ceil(By == Grouped::sum ? p_.rows : tile.rows, Plan.rows);
    const int band_tiles = Plan.band * ceil(p_.cols, Plan.cols), band = local / band_tiles;
    const int left = row_tiles - band * Plan.band, height = left < Plan.band ? left : Plan.band;
    const int in_band = local - band * band_tiles, col = in_band / height;
    tile.row = (band * Plan.band + in_band - col * height) * Plan.rows;
    tile.col = col * Plan.cols;
    return true;
  }

 private:
  ASHLAR_DEVICE static int ceil(int a, int b) { return (a + b - 1) / b; }
  /// The groups, and after them, where the result is not added to, the rows of no group: they become zero.
  ASHLAR_DEVICE int entries() const { return p_.groups + (By == Grouped::result && !p_.accumulate); }
  template <class Context>
  ASHLAR_DEVICE int begin_of(const Context& ctx, int entry) const {
    return ctx.load(p_.offsets + entry);
  }
  template <class Context>
  ASHLAR_DEVICE int end_of(const Context& ctx, int entry) const {
    return entry < p_.groups ? ctx.load(p_.offsets + entry + 1) : p_.rows;
  }

  /// Each lane takes one of the entries from first_ on; the tiles of its entry, and of all before it, end before end_.
  template <class Context>
  ASHLAR_DEVICE void look(const Context& ctx) {
    const int entry = first_ + ctx.lane();
    int tiles = 0;
    if (entry < entries()) {
      const int rows = end_of(ctx, entry) - begin_of(ctx, entry);
      if (By == Grouped::result || rows > 0 || !p_.accumulate)
        tiles = ceil(By == Grouped::sum ? p_.rows : rows, Plan.rows) * ceil(p_.cols, Plan.cols);
    }
    for (int delta = 1; delta < warp_size; delta *= 2) {
      const int below = ctx.shuffle_up(tiles, delta);
      if (ctx.lane() >= delta) tiles += below;
    }
    end_ = before_ + tiles;
  }

  const Problem& p_;
  int first_ = 0, before_ = 0, end_;
};

}  // namespace ashlar::inline v0::ops::cuda::grouped
