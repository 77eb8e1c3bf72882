// The plans that the launchers choose from, and how. Which is the fastest depends on how many tiles there are, how long
// each takes to sum and to store, and how many rows a group has; the host knows the average alone.
// docs/performance.md has what was measured. Read next: ops/grouped_gemm/tma/launch.cuh.
#pragma once

#include "ashlar/core/math.hpp"
#include "ashlar/core/shape.hpp"
#include "ashlar/ops/grouped_gemm/tma/plan.hpp"

namespace ashlar::inline v0::ops {

/// Many summed indices: the fewest bytes to load, and stores matter little.
inline constexpr GroupedGemmPlan grouped_gemm_wide{TileSharing::cooperative, 128, 256, 64, 4, 16};
/// Few summed indices: a tile is stored while the next one is summed.
inline constexpr GroupedGemmPlan grouped_gemm_turns{TileSharing::ping_pong, 128, 192, 64, 4, 16};
/// A few rows a group: the weights stream by, and half of a tile's rows would be empty.
inline constexpr GroupedGemmPlan grouped_gemm_few_rows{TileSharing::ping_pong, 64, 256, 64, 4, 16};
/// Columns of two weights, with SwiGLU between: half of them each, 64 or a multiple.
inline constexpr GroupedGemmPlan grouped_gemm_gated{TileSharing::ping_pong, 128, 128, 64, 5, 16};

/// Of the result [rows, cols] of `groups` equal groups, sums over `depth`, on so many multiprocessors.
struct GroupedGemmShape {
  index_t rows, groups, cols, depth;
  int multiprocessors;
};

/// Which of the plans makes rows of the groups.
enum class GroupedGemmPreset { wide, turns, few_rows };

/// How long a plan takes, in the time that 128 x 256 sums of 64 take: the rounds of tiles of the busiest
/// multiprocessor, each its sums and what of its stores nothing hides. As fitted to an H200: stores of whole tiles cost
/// three steps where warpgroups share them; 128 x 192 reads shared memory 4.5 % more than its products leave time for.
constexpr double grouped_gemm_time(const GroupedGemmPlan& plan, const GroupedGemmShape& s) {
  const index_t row_tiles = s.groups * ceil_div(ceil_div(s.rows, s.groups), index_t{plan.rows});
  const index_t rounds = ceil_div(row_tiles * ceil_div(s.cols, index_t{plan.cols}), index_t{s.multiprocessors});
  const double steps = static_cast<double>(ceil_div(s.depth, index_t{64}));
  const double tile = plan.rows * plan.cols / (128.0 * 256);
  return static_cast<double>(rounds) * tile * (plan.sharing == TileSharing::cooperative ? steps + 3 : steps * 1.045);
}

constexpr GroupedGemmPreset grouped_gemm_preset(const GroupedGemmShape& s) {
  // Below some 200 rows a group, what counts is that every byte of the weights is asked for early.
  if (s.rows <= 64 * s.groups) return GroupedGemmPreset::few_rows;
  if (s.rows <= 160 * s.groups) return GroupedGemmPreset::wide;
  return grouped_gemm_time(grouped_gemm_wide, s) <= grouped_gemm_time(grouped_gemm_turns, s) ? GroupedGemmPreset::wide
                                                                                             : GroupedGemmPreset::turns;
}

}  // namespace ashlar::inline v0::ops
