// The gradient of queries beside those of keys and values, in five products a tile in place of seven: (dQ)^T = K^T dS^T
// of the block's keys, added to f32 sums in memory by atomics. Blocks add in no order, so the last bits differ from run
// to run. dS^T passes through shared memory, for a warpgroup makes 64 columns of dQ (or half of the queries) from the
// keys of both. A tile of queries is added while the next one is worked on, so no warpgroup waits for the other's.
//
// The sums lie as wgmma's results do, so that four numbers a thread make whole lines: [head, tile of queries,
// warpgroup, 4 numbers of each of its threads, those]. FlashQueryFinish makes rows of them. Read next:
// ops/attention/flash.cuh.
#pragma once

#include "ashlar/device/cuda/pack.cuh"
#include "ashlar/device/cuda/ptx.cuh"
#include "ashlar/ops/attention/flash_mask.cuh"
#include "ashlar/ops/attention/flash_tiles.cuh"
#include "ashlar/ops/attention/flash_tuning.hpp"

namespace ashlar::inline v0::ops::cuda::kernel {

/// Queries of a tile whose sums a warpgroup makes: all, for its 64 columns of the head, or its share of them.
constexpr int flash_sum_queries(const FlashTuning& t) {
  return t.head_dim == 64 ? t.tile / t.warpgroups : t.tile;
}

/// x, if it has as many numbers as y; else y.
template <int M, int N>
ASHLAR_DEVICE auto& fitting([[maybe_unused]] float (&x)[M], [[maybe_unused]] float (&y)[N]) {
  if constexpr (M == N)
    return x;
  else
    return y;
}

/// What a thread that multiplies knows of them.
template <FlashTuning Tuning>
class FlashQuerySums {
 public:
  static constexpr int tile = Tuning.tile, queries = flash_sum_queries(Tuning), numbers = queries / 2;
  static constexpr int tile_numbers = tile * Tuning.head_dim, buffers = 2, warps = 4 * Tuning.warpgroups;
  static_assert(Tuning.head_dim == 64 ? queries == 64 : Tuning.head_dim == 64 * Tuning.warpgroups);
  using Key = FlashTile<Tuning.kept(), Tuning.head_dim>;

  struct Shared {
    FlashTile<Tuning.kept(), (tile + 63) / 64 * 64> dscores[buffers];  // [keys, queries]
    ptx::Barrier full[buffers], empty[buffers];
  };
  ASHLAR_DEVICE static void init(Shared& s) {
    for (auto& b : s.full) ptx::init(b, warps);
    for (auto& b : s.empty) ptx::init(b, warps);
  }

  /// Before the first tile of the work.
  template <class Context>
  ASHLAR_DEVICE void begin(const Context& ctx, float* sums, const FlashWork& w, const FlashSizes& sizes,
                           int warpgroup) {
    const int tiles = (sizes.query_len + tile - 1) / tile, head = w.b * sizes.heads + w.head * sizes.group;
    to_ = sums + (index_t{head} * tiles + w.begin / tile) * tile_numbers + warpgroup * (128 * numbers) +
          ctx.thread() % 128 * 4;
    skipped_ = tiles - w.tiles;
    left_ = w.tiles;
  }

  /// dS^T of the warpgroup's keys, for both.
  template <class Context>
  ASHLAR_DEVICE void give(const Context& ctx, Shared& s, int row, const std::uint32_t (&dscores)[tile / 4]) {
    ptx::wait(s.empty[given_.at], given_.parity ^ 1);
    put_operand(ctx, s.dscores[given_.at], row, dscores);
    ptx::fence_async();
    ctx.sync_warp();
    if (ctx.lane() == 0) ptx::arrive(s.full[given_.at]);
    given_.next();
  }

  /// Starts the product of the first tile that has not been taken, as one group.
  ASHLAR_DEVICE void start(Shared& s, Key& key, int warpgroup, float (&x)[numbers]) {
    constexpr bool by_columns = Tuning.head_dim > 64;
    auto& dscores = s.dscores[taken_.at];
    ptx::wait(s.full[taken_.at], taken_.parity);
    ptx::hold(x);
    ptx::wgmma_fence();
    const std::uint64_t from = ptx::descriptor(key.address() + (by_columns ? warpgroup * key.box_bytes : 0)),
                        with = ptx::descriptor(dscores.address() + (by_columns ? 0 : warpgroup * dscores.box_bytes),
                                               dscores.box_bytes);
#pragma unroll
    for (int k = 0; k < Tuning.kept() / 16; ++k)
      ptx::wgmma_ss<1, 1>(x, further(from, key.column_step(k)), further(with, key.column_step(k)), k != 0);
    ptx::wgmma_commit();
  }
  /// Adds what the product made. `tiles`: of the work.
  template <class Context>
  ASHLAR_DEVICE void add(const Context& ctx, Shared& s, int tiles, float (&x)[numbers]) {
    ptx::hold(x);
    ctx.sync_warp();
    if (ctx.lane() == 0) ptx::arrive(s.empty[taken_.at]);
    taken_.next();
#pragma unroll
    for (int i = 0; i < numbers; i += 4) ctx.atomic_add(to_ + i * 128, x[i], x[i + 1], x[i + 2], x[i + 3]);
    to_ += tile_numbers;
    if (--left_ == 0) {
      to_ += index_t{skipped_} * tile_numbers;
      left_ = tiles;
    }
  }

 private:
  float* to_;
  int skipped_, left_;  // tiles between a head's last and the next one's first; of the present head
  Ring<buffers> given_, taken_;
};

/// Where there are none.
struct NoQuerySums {
  static constexpr int numbers = 1;
  struct Shared {};
  ASHLAR_DEVICE static void init(Shared&) {}
};

/// dquery = scale times the sums, or added to what is there. A block has what a warpgroup made of a tile.
template <FlashTuning Tuning>
struct FlashQueryFinish {
  static constexpr int queries = flash_sum_queries(Tuning), columns = 64, stride = columns + 4, threads = 128;
  struct Params {
    const float* sums;
    Rows<bf16> dquery;
    int query_len, heads, tiles;
    float scale;
    bool accumulate;
  };
  struct Shared {
    SharedArray<float, queries * stride> rows;
  };

  /// The grid: parts of the tiles of a head, heads, sequences.
  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    auto& rows = ctx.shared().rows;
    const int part = static_cast<int>(ctx.block_x() % Tuning.warpgroups);
    const index_t tile = ctx.block_x() / Tuning.warpgroups, head = ctx.block_y(), b = ctx.block_z();
    const float* const from = p.sums +
                              (((b * p.heads + head) * p.tiles + tile) * Tuning.warpgroups + part) * queries * columns +
                              ctx.thread() * 4;
    const FlashFragment at(ctx);
#pragma unroll
    for (int i = 0; i < queries / 2; i += 4) {
      const auto x = ctx.load(reinterpret_cast<const Pack<float, 4>*>(from + i * threads));
#pragma unroll
      for (int j = 0; j < 4; ++j) rows[at.col(i + j) * stride + at.row(i + j)] = x.values[j];
    }
    ctx.sync();
    const index_t first = tile * Tuning.tile + (Tuning.head_dim == 64 ? part * queries : 0);
    const index_t column = head * Tuning.head_dim + (Tuning.head_dim == 64 ? 0 : part * columns);
    for (int i = ctx.thread(); i < queries * (columns / 8); i += threads) {
      const int query = i / (columns / 8), c = i % (columns / 8) * 8;
      if (first + query >= p.query_len) break;
      auto* const to = reinterpret_cast<Pack<bf16, 8>*>(p.dquery[b * p.query_len + first + query] + column + c);
      Pack<bf16, 8> row{};
      if (p.accumulate) row = ctx.load(to);
#pragma unroll
      for (int j = 0; j < 8; ++j) {
        const float x = rows[query * stride + c + j];
        row.values[j] = bf16(x * p.scale + (p.accumulate ? float(row.values[j]) : 0.0f));
      }
      ctx.store(to, row);
    }
  }
};

}  // namespace ashlar::inline v0::ops::cuda::kernel
