// From registers to the result: a warp rounds its 16 rows slice by slice into shared memory of its own, and the copy
// engine takes them from there. What lies outside of the group, or past the last column, the
// tensor map leaves out. Read next: ops/grouped_gemm/tma/launch.cuh.
#pragma once

#include "ashlar/device/cuda/pack.cuh"
#include "ashlar/ops/grouped_gemm/tma/ragged_map.cuh"
#include "ashlar/ops/grouped_gemm/tma/stage.cuh"
#include "ashlar/ops/grouped_gemm/tma/tile_walk.cuh"

namespace ashlar::inline v0::ops::cuda::grouped {

inline constexpr int slice_rows = 16;

/// Two columns of a row, of one thread.
template <class T>
struct alignas(2 * sizeof(T)) OutPair {
  T first, second;
};

/// Sums of nothing.
template <int Strips, int N>
ASHLAR_DEVICE void clear(float (&sums)[Strips][N]) {
#pragma unroll
  for (auto& strip : sums)
#pragma unroll
    for (float& x : strip) x = 0;
}

/// A slice [16, 128 bytes], swizzled as its map says.
template <class T>
struct OutSlice {
  static constexpr int cols = 128 / static_cast<int>(sizeof(T));
  using Pair = OutPair<T>;
  alignas(1024) SharedArray<Pair, slice_rows * cols / 2> pairs;

  /// Columns [col, col + cols) of a warp's 16 rows of a wgmma result (device/cuda/ptx/wgmma.cuh has the layout of
  /// sums).
  template <class Context, int N>
  ASHLAR_DEVICE void put(const Context& ctx, const float (&sums)[N], int col) {
    if constexpr (std::is_same_v<T, bf16>) {
      const std::uint32_t to = ptx::address(&pairs[0]), row = static_cast<std::uint32_t>(ctx.lane() % 16) * 128;
#pragma unroll
      for (int j = 0; j < cols / 8; j += 2) {  // two pieces of 8 columns, 16 bytes each
        const float* const d = sums + col / 2 + 4 * j;
        ptx::stmatrix(to + swizzled<Swizzle::b128>(row + static_cast<std::uint32_t>(j + ctx.lane() / 16) * 16),
                      ptx::pack(d[0], d[1]), ptx::pack(d[2], d[3]), ptx::pack(d[4], d[5]), ptx::pack(d[6], d[7]));
      }
    } else {
      // Rows that follow each other would meet in a bank: every second one writes its pieces in another order.
      const int row = ctx.lane() / 4, odd = row % 2 * 2;
#pragma unroll
      for (int j = 0; j < cols / 8; ++j)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const float* const even_sums = sums + col / 2 + 4 * j + 2 * half;
          const float* const odd_sums = sums + col / 2 + 4 * (j ^ 2) + 2 * half;
          const int at = (row + 8 * half) * 128 + (j ^ odd) * 32 + ctx.lane() % 4 * 8;
          pairs[static_cast<int>(swizzled<Swizzle::b128>(static_cast<std::uint32_t>(at)) / 8)] =
              Pair{odd ? odd_sums[0] : even_sums[0], odd ? odd_sums[1] : even_sums[1]};
        }
    }
  }
  ASHLAR_DEVICE const void* data() {
    return &pairs[0];
  }
};

/// How a warp's rows leave: through its slices in turns, so that one is written while the copy engine reads the others.
template <class T, int Slices>
class SliceStore {
 public:
  using Staging = OutSlice<T>[Slices];
  static constexpr int cols = OutSlice<T>::cols;

  ASHLAR_DEVICE explicit SliceStore(Staging& staging) : staging_(staging) {}

  /// Columns [from, from + cols) of the warp's rows of sums, by send(slice): one lane stores or adds.
  template <class Context, int N, class Send>
  ASHLAR_DEVICE void put(const Context& ctx, const float (&sums)[N], int from, Send send) {
    OutSlice<T>& slice = staging_[turn_];
    if (++turn_ == Slices) turn_ = 0;
    if (ctx.lane() == 0) ptx::wait_stores_read<Slices - 1>();
    ctx.sync_warp();
    slice.put(ctx, sums, from);
    ptx::fence_async();
    ctx.sync_warp();
    if (ctx.lane() == 0) {
      send(slice.data());
      ptx::commit_stores();
    }
  }
  /// Shared memory must live until it has been read.
  template <class Context>
  ASHLAR_DEVICE void finish(const Context& ctx) {
    if (ctx.lane() == 0) ptx::wait_stores();
  }

 private:
  Staging& staging_;
  int turn_ = 0;
};

/// Rows of the groups, bf16.
template <GroupedGemmPlan Plan>
class RowsResult {
 public:
  using Params = ptx::TensorMap;  // ragged, boxes of 16 rows
  using Staging = typename SliceStore<bf16, Plan.slices>::Staging;

  template <class Context>
  ASHLAR_DEVICE RowsResult(const Context&, const Problem& p, const Params& map, Staging& staging)
      : problem_(p), map_(map), store_(staging) {}

  /// What a tile's sums begin as; false: as the first product.
  template <class Context, int Strips, int N>
  ASHLAR_DEVICE bool begin(const Context&, const Tile& tile, int, float (&sums)[Strips][N]) {
    if (tile.steps == 0) clear(sums);
    return false;
  }

  /// A warpgroup's sums [64, 2 N] from row `row` of the tile on. The warp has 16 of the rows.
  template <class Context, int N>
  ASHLAR_DEVICE void put(const Context& ctx, const Tile& tile, int row, const float (&sums)[N]) {
    const int first = tile.row + row + ctx.warp() % 4 * slice_rows;
    if (first >= tile.rows) return;
    const RaggedRow at(tile.begin, tile.rows, first);
#pragma unroll
    for (int from = 0; from < 2 * N; from += store_.cols) {
      const int col = tile.col + from;
      if (col >= problem_.cols) break;
      store_.put(ctx, sums, from, [&](const void* slice) {
        if (problem_.accumulate)
          ptx::add(map_, slice, col, at.row, at.shift, at.wrap);
        else
          ptx::store(map_, slice, col, at.row, at.shift, at.wrap);
      });
    }
  }
  template <class Context>
  ASHLAR_DEVICE void finish(const Context& ctx) {
    store_.finish(ctx);
  }

 private:
  const Problem& problem_;
  const Params& map_;
  SliceStore<bf16, Plan.slices> store_;
};

/// A matrix for each group, f32. BeginsWithIt: the sums begin as what it is; else the copy engine stores, or adds.
template <GroupedGemmPlan Plan, bool BeginsWithIt>
class WeightsResult {
 public:
  struct Params {
    ptx::TensorMap map;  // [E, N, K], boxes of 16 rows
    Rows<float> dw;      // the same
  };
  using Staging = typename SliceStore<float, Plan.slices>::Staging;

  template <class Context>
  ASHLAR_DEVICE WeightsResult(const Context&, const Problem& p, const Params& to, Staging& staging)
      : problem_(p), to_(to), store_(staging) {}

  /// dw is read while the other warpgroup multiplies. Outside of it, something that may always be read: no copy of it
  /// is stored, and the loads need no branch, at which the compiler would give up on wgmma.
  template <class Context, int Strips, int N>
  ASHLAR_DEVICE bool begin(const Context& ctx, const Tile& tile, int row, float (&sums)[Strips][N]) {
    if constexpr (!BeginsWithIt) {
      if (tile.steps == 0) clear(sums);
      return false;
    }
    const int first = tile.row + row + ctx.warp() % 4 * slice_rows + ctx.lane() / 4;
    const int col = tile.col + ctx.lane() % 4 * 2;
    const float* const dw = to_.dw[index_t{tile.group} * problem_.rows + first] + col;
#pragma unroll
    for (int strip = 0; strip < Strips; ++strip)
#pragma unroll
      for (int i = 0; i < N; i += 2) {
        const int down = 64 * strip + i / 2 % 2 * 8, right = i / 4 * 8;
        const bool inside = first + down < problem_.rows && col + right < problem_.cols;
        const void* const from =
            inside ? static_cast<const void*>(dw + down * to_.dw.stride + right) : problem_.offsets;
        const auto pair = ctx.load(static_cast<const OutPair<float>*>(from));
        sums[strip][i] = pair.first;
        sums[strip][i + 1] = pair.second;
      }
    return true;
  }

  template <class Context, int N>
  ASHLAR_DEVICE void put(const Context& ctx, const Tile& tile, int row, const float (&sums)[N]) {
    const int first = tile.row + row + ctx.warp() % 4 * slice_rows;
    if (first >= problem_.rows) return;
#pragma unroll
    for (int from = 0; from < 2 * N; from += store_.cols) {
      const int col = tile.col + from;
      if (col >= problem_.cols) break;
      store_.put(ctx, sums, from, [&](const void* slice) { ptx::store(to_.map, slice, col, first, tile.group); });
    }
  }
  template <class Context>
  ASHLAR_DEVICE void finish(const Context& ctx) {
    store_.finish(ctx);
  }

 private:
  const Problem& problem_;
  const Params& to_;
  SliceStore<float, Plan.slices> store_;
};

template <GroupedGemmPlan Plan>
using WeightsStored = WeightsResult<Plan, false>;
template <GroupedGemmPlan Plan>
using WeightsBegun = WeightsResult<Plan, true>;

}  // namespace ashlar::inline v0::ops::cuda::grouped
