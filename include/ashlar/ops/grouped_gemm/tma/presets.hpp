// The plans that the launchers choose from, and how. Which is the fastest depends on how many tiles there are, how long
// each takes to sum and to store, and how many rows a group has; the host knows the average alone.
// docs/performance.md has what was measured. Read next: ops/grouped_gemm/tma/launch.cuh.
#pragma once

#include "ashlar/core/math.hpp"
#include "ashlar/core/shape.hpp"
#include "ashlar/ops/grouped_gemm/tma/plan.hpp"

namespace ashlar::inline v0::ops {

/// Many summed indices: the fewest bytes to load, and stores matter little.
inline constexpr GroupedGemmPlan grouped_gemm_wide{TileSharing::cooperative, 128, 256, 64, 4, 16, TileOrder::strided};
/// Few summed indices: a tile is stored while the next one is summed.
inline constexpr GroupedGemmPlan grouped_gemm_turns{TileSharing::ping_pong, 128, 192, 64, 4, 16, TileOrder::strided};
/// The same for few columns; also 64 columns of each of two weights, with SwiGLU between.
inline constexpr GroupedGemmPlan grouped_gemm_narrow{TileSharing::ping_pong, 128, 128, 64, 5, 16, TileOrder::strided};
/// A few rows a group, so the weights stream by: whoever has got his takes the next.
inline constexpr GroupedGemmPlan grouped_gemm_stream{TileSharing::ping_pong, 128, 192, 64, 4, 16, TileOrder::drawn};

/// The same for weight gradients, whose tiles are twice as many bytes.
inline constexpr GroupedGemmPlan grouped_gemm_stream_weights{TileSharing::ping_pong, 128, 128, 64, 5, 16,
                                                             TileOrder::drawn};

enum class GroupedGemmPreset { wide, turns, narrow, stream };

/// The result [rows, cols] of `groups` groups, sums over `depth`, on so many multiprocessors. The host knows the
/// average group alone.
struct GroupedGemmShape {
  index_t rows, groups, cols, depth;
  int multiprocessors;
};

/// How long a plan takes, in the time of 128 x 256 sums of 64: the rounds of tiles of the busiest multiprocessor, each
/// its sums and what of its stores nothing hides. Fitted to an H200: to store a tile that both warpgroups made takes as
/// long as three steps; the smaller tiles read shared memory and the L2 cache more often than their products leave time
/// for.
constexpr double grouped_gemm_time(const GroupedGemmPlan& plan, const GroupedGemmShape& s) {
  const index_t row_tiles = s.groups * ceil_div(ceil_div(s.rows, s.groups), index_t{plan.rows});
  const index_t rounds = ceil_div(row_tiles * ceil_div(s.cols, index_t{plan.cols}), index_t{s.multiprocessors});
  const double steps = static_cast<double>(ceil_div(s.depth, index_t{64}));
  const double tile = plan.rows * plan.cols / (128.0 * 256);
  const double hidden = plan.cols < 192 ? 1.06 * (steps + 2) / steps : 1.03;  // stores, but for a little
  const double factor = plan.sharing == TileSharing::cooperative ? (steps + 3) / steps : hidden;
  return static_cast<double>(rounds) * tile * steps * factor;
}

/// For rows of groups; depth > 0.
constexpr GroupedGemmPreset grouped_gemm_preset(const GroupedGemmShape& s) {
  const double wide = grouped_gemm_time(grouped_gemm_wide, s), turns = grouped_gemm_time(grouped_gemm_turns, s),
               narrow = grouped_gemm_time(grouped_gemm_narrow, s);
  if (narrow < 0.95 * wide && narrow < 0.95 * turns) return GroupedGemmPreset::narrow;
  // Below some 200 rows a group, reading the weights takes longer than the products.
  if (s.rows > 64 * s.groups && s.rows <= 160 * s.groups) return GroupedGemmPreset::stream;
  return wide < turns ? GroupedGemmPreset::wide : GroupedGemmPreset::turns;
}

}  // namespace ashlar::inline v0::ops
