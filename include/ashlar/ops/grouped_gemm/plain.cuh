// The plain kernels of grouped GEMM on Cuda, for every element type and layout: a block has one tile of the result.
// Which group a tile of rows belongs to is found on the device, from the offsets; the grid covers the most tiles that
// any offsets give. Read next: device/cuda/tile.cuh, ops/grouped_gemm/tuning.hpp.
#pragma once

#include <cstdint>

#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/tile.cuh"
#include "ashlar/ops/grouped_gemm/tuning.hpp"

namespace ashlar::inline v0::ops::cuda {

namespace kernel {

template <class A>
using GroupedTile = TileProduct<A, grouped_gemm_tuning.micro, grouped_gemm_tuning.depth>;

/// The rows [begin, end) of one group, at most a tile of them. Group `groups` is what follows the last: rows of no
/// group.
struct RowTile {
  int group;  // -1: none, the block has nothing to do
  int begin, end;
};

/// Tile `index` when each group is cut into tiles of its own. Every lane of every warp must call it and gets the same.
template <class Context>
ASHLAR_DEVICE RowTile find_row_tile(const Context& ctx, const std::int32_t* offsets, int groups, int rows, int tile,
                                    int index) {
  int before = 0;  // tiles of the groups that were looked at
  for (int first = 0; first <= groups; first += warp_size) {
    const int group = first + ctx.lane();
    const int begin = group <= groups ? ctx.load(offsets + group) : 0;
    const int end = group < groups ? ctx.load(offsets + group + 1) : group == groups ? rows : 0;
    const int tiles = (end - begin + tile - 1) / tile;
    int up_to = tiles;
    for (int delta = 1; delta < warp_size; delta *= 2) {
      const int below = ctx.shuffle_up(up_to, delta);
      if (ctx.lane() >= delta) up_to += below;
    }
    const int start = before + up_to - tiles;
    const unsigned found = ctx.ballot(index >= start && index < start + tiles);
    if (found != 0) {
      int owner = 0;
      while ((found >> owner & 1u) == 0) ++owner;
      const int row = ctx.shuffle(begin + (index - start) * tile, owner), last = ctx.shuffle(end, owner);
      return {first + owner, row, row + tile < last ? row + tile : last};
    }
    before = ctx.shuffle(before + up_to, warp_size - 1);
  }
  return {-1, 0, 0};
}

template <class T>
struct GroupedProductParams {
  Rows<const T> x;        // [rows, depth]
  Rows<const T> weights;  // of all groups, one after another
  index_t weight_rows;    // of one group
  const std::int32_t* offsets;
  Rows<T> y;  // [rows, cols]
  int groups, rows, cols, depth;
  bool accumulate;
};

/// y of a group = x times the group's weights: [cols, depth], summed along their rows, or [depth, cols].
template <class T, Summed OfWeights>
struct GroupedProduct {
  using A = Acc<T>;
  using Tile = GroupedTile<A>;
  using Params = GroupedProductParams<T>;
  using Shared = typename Tile::Shared;
  static constexpr int threads = tile_threads;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    constexpr int micro = grouped_gemm_tuning.micro;
    const RowTile rows = find_row_tile(ctx, p.offsets, p.groups, p.rows, Tile::tile, static_cast<int>(ctx.block_x()));
    const bool grouped = rows.group < p.groups;
    if (rows.group < 0 || (!grouped && p.accumulate)) return;
    const int first_col = static_cast<int>(ctx.block_y()) * Tile::tile;
    A sum[micro][micro] = {};
    if (grouped) {
      const T* const weights = p.weights[rows.group * p.weight_rows];
      constexpr bool along = OfWeights == Summed::along_rows;
      const Matrix<T> w{along ? weights + first_col * p.weights.stride : weights + first_col, p.weights.stride,
                        along ? p.cols - first_col : p.depth, along ? p.depth : p.cols - first_col};
      const Matrix<T> x{p.x[rows.begin], p.x.stride, rows.end - rows.begin, p.depth};
      Tile::template add<Summed::along_rows, OfWeights>(ctx, ctx.shared(), sum, x, w, p.depth);
    }
    const int row = rows.begin + ctx.thread() / tile_side * micro;
    const int col = first_col + ctx.thread() % tile_side * micro;
    for (int i = 0; i < micro; ++i)
      for (int j = 0; j < micro; ++j) {
        if (row + i >= rows.end || col + j >= p.cols) continue;
        T* const y = p.y[row + i] + col + j;
        ctx.store(y, T(p.accumulate ? A(ctx.load(y)) + sum[i][j] : sum[i][j]));
      }
  }
};

/// dw of group z (+)= dy^T x over the group's rows.
template <class T>
struct GroupedWeightGradient {
  using A = Acc<T>;
  using Tile = GroupedTile<A>;
  struct Params {
    Rows<const T> dy, x;  // [rows, n], [rows, k]
    const std::int32_t* offsets;
    Rows<A> dw;  // [groups n, k]
    int n, k;
    bool accumulate;
  };
  using Shared = typename Tile::Shared;
  static constexpr int threads = tile_threads;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    constexpr int micro = grouped_gemm_tuning.micro;
    const index_t group = ctx.block_z();
    const int begin = ctx.load(p.offsets + group), rows = ctx.load(p.offsets + group + 1) - begin;
    if (rows <= 0 && p.accumulate) return;
    const int first_row = static_cast<int>(ctx.block_y()) * Tile::tile;
    const int first_col = static_cast<int>(ctx.block_x()) * Tile::tile;
    A sum[micro][micro] = {};
    Tile::template add<Summed::over_rows, Summed::over_rows>(
        ctx, ctx.shared(), sum, Matrix<T>{p.dy[begin] + first_row, p.dy.stride, rows, p.n - first_row},
        Matrix<T>{p.x[begin] + first_col, p.x.stride, rows, p.k - first_col}, rows);
    const int row = first_row + ctx.thread() / tile_side * micro;
    const int col = first_col + ctx.thread() % tile_side * micro;
    for (int i = 0; i < micro; ++i)
      for (int j = 0; j < micro; ++j) {
        if (row + i >= p.n || col + j >= p.k) continue;
        A* const dw = p.dw[group * p.n + row + i] + col + j;
        ctx.store(dw, p.accumulate ? ctx.load(dw) + sum[i][j] : sum[i][j]);
      }
  }
};

/// Tiles of rows in `groups` groups and what follows them: each may end with a tile that isn't full.
inline index_t most_row_tiles(index_t rows, index_t groups) {
  return rows == 0 ? 0 : ceil_div(rows, GroupedTile<float>::tile) + groups;
}

template <Summed OfWeights, class T>
void grouped_product(Cuda::Queue& queue, TensorView<const T, Cuda> x, TensorView<const T, Cuda> w,
                     TensorView<const std::int32_t, Cuda> offsets, TensorView<T, Cuda> y, bool accumulate) {
  const index_t groups = w.dim(0), cols = y.cols();
  launch<GroupedProduct<T, OfWeights>>(
      queue, {most_row_tiles(y.rows(), groups), ceil_div(cols, GroupedTile<float>::tile)},
      {rows_of(x), rows_of(w), w.dim(1), offsets.data(), rows_of(y), static_cast<int>(groups),
       static_cast<int>(y.rows()), static_cast<int>(cols), static_cast<int>(x.cols()), accumulate});
}

template <class T>
void weight_gradient(Cuda::Queue& queue, TensorView<const T, Cuda> dy, TensorView<const T, Cuda> x,
                     TensorView<const std::int32_t, Cuda> offsets, TensorView<Acc<T>, Cuda> dw, bool accumulate) {
  constexpr int tile = GroupedTile<float>::tile;
  const index_t n = dw.dim(1), k = dw.dim(2);
  launch<GroupedWeightGradient<T>>(
      queue, {ceil_div(k, tile), ceil_div(n, tile), dw.dim(0)},
      {rows_of(dy), rows_of(x), offsets.data(), rows_of(dw), static_cast<int>(n), static_cast<int>(k), accumulate});
}

}  // namespace kernel

}  // namespace ashlar::inline v0::ops::cuda
