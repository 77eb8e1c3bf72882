// Attention backward on Hopper, the gradients of keys and values. A block keeps a tile of keys and their values and
// lets the queries that see them stream past, with dout, of all heads that share the keys: so every gradient is summed
// by one warpgroup, in one order, in f32. Scores are made transposed, S^T = K Q^T and (dP)^T = V dout^T: then P^T and
// (dS)^T are in registers just as dV += P^T dout and dK += (dS)^T Q want them, and nothing goes through shared memory.
//
//   tensor core   S0 |    | dP0 dV0 |     | dK0 S1 |    | dP1 dV1 |     | dK1 S2 ...   the gaps of one warpgroup are
//   softmax          | P0 |         | dS0 |        | P1 |         | dS1 |              filled by products of the other
//
// The two sums take most of the registers: S and dP take turns in others, and what is needed of P lasts as the operand,
// until (dS)^T takes its place. With `Adds`, the gradient of queries is made too (flash_query_sums.cuh), a tile later:
//
//   tensor core   S1 |    | dP1 dV1 |     | dQ0 dK1 S2 |    | dP2 dV2 |     | dQ1 dK2 S3 ...
//
// Read next: ops/attention/flash_query_sums.cuh, ops/attention/flash_query_gradient.cuh.
#pragma once

#include <type_traits>

#include "ashlar/device/cuda/pack.cuh"
#include "ashlar/device/cuda/ptx.cuh"
#include "ashlar/ops/attention/flash_mask.cuh"
#include "ashlar/ops/attention/flash_order.cuh"
#include "ashlar/ops/attention/flash_query_sums.cuh"
#include "ashlar/ops/attention/flash_softmax.cuh"
#include "ashlar/ops/attention/flash_tiles.cuh"
#include "ashlar/ops/attention/flash_tuning.hpp"

namespace ashlar::inline v0::ops::cuda::kernel {

template <class M, FlashTuning Tuning, bool Adds = false>
struct FlashKeyGradient {
  using QuerySums = std::conditional_t<Adds, FlashQuerySums<Tuning>, NoQuerySums>;
  static constexpr int kept = Tuning.kept(), tile = Tuning.tile, stages = Tuning.stages;
  static constexpr int kept_stages = Tuning.kept_stages, warpgroups = Tuning.warpgroups;
  static constexpr int head_dim = Tuning.head_dim, value_dim = Tuning.value_dim;
  static constexpr int threads = Tuning.threads(), min_blocks = Tuning.blocks, arch = 90;
  static_assert(Tuning.registers_fit());

  struct Params {
    FlashSizes sizes;
    typename M::State mask;
    FlashOrder order;
    ptx::TensorMap query, key, value, dout, dkey, dvalue;  // boxes of 64 columns; the gradients' of 64 rows
    const float *lse, *delta;                              // [batch, heads, query_len]
    int* ticket;
    bool accumulate;  // onto what the gradients are
    float* query_sums;
  };
  struct Shared {
    FlashTile<kept, head_dim> key[kept_stages];  // and dkey on its way to memory
    FlashTile<kept, value_dim> value[kept_stages];
    FlashTile<tile, head_dim> query[stages];
    FlashTile<tile, value_dim> dout[stages];
    typename QuerySums::Shared query_sums;
    SharedArray<Pack<float, 4>, tile / 2> rows[stages];  // of two queries: -lse in base 2, delta; twice
    ptx::Barrier kept_full[kept_stages], kept_empty[kept_stages], full[stages], empty[stages];
    SharedArray<FlashWork, kept_stages> work;
  };

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    Shared& s = ctx.shared();
    if (ctx.thread() == 0) {
      for (auto& b : s.kept_full) ptx::init(b, 1);
      for (auto& b : s.kept_empty) ptx::init(b, warpgroups);
      for (auto& b : s.full) ptx::init(b, 1);
      for (auto& b : s.empty) ptx::init(b, 4 * warpgroups);  // a lane of each warp: all lanes read rows
      QuerySums::init(s.query_sums);
      ptx::fence_barrier_init();
    }
    ctx.sync();
    if (ctx.thread() < 128) {
      ptx::fewer_registers<Tuning.producer_registers>();
      if (ctx.thread() < warp_size) load(p, ctx);
    } else {
      ptx::more_registers<Tuning.consumer_registers>();
      multiply(p, ctx, ctx.shuffle(ctx.thread() / 128, 0) - 1);
    }
  }

 private:
  /// A tile of keys, and the queries from the first to the last that may see one of them: of masks, only the keys of
  /// queries are known, so the warp looks at all queries.
  ASHLAR_DEVICE static FlashWork work(const Params& p, const Simt<Shared>& ctx, int ticket) {
    if (ticket >= p.order.count()) return {};
    const FlashOrder::Place at = p.order(ticket);
    const int b = at.head / p.sizes.kv_heads, head = at.head % p.sizes.kv_heads, first = at.tile * kept;
    const FlashMask<M> mask{p.mask, p.sizes, b};
    int begin = p.sizes.query_len, end = 0;
    for (int query = ctx.lane() * tile; query < p.sizes.query_len; query += warp_size * tile) {
      const FlashRange seen = mask.keys(query, tile);
      if (seen.begin >= first + kept || seen.end <= first) continue;
      begin = query < begin ? query : begin;
      end = query + tile;
    }
    for (int lanes = warp_size / 2; lanes > 0; lanes /= 2) {
      const int other_begin = ctx.shuffle_xor(begin, lanes), other_end = ctx.shuffle_xor(end, lanes);
      begin = other_begin < begin ? other_begin : begin;
      end = other_end > end ? other_end : end;
    }
    if (end == 0) begin = 0, end = tile;  // keys that nobody sees: the mask hides them, the gradients are 0
    return {b, head, first, begin, (end - begin) / tile};
  }

  ASHLAR_DEVICE static void load(const Params& p, Simt<Shared>& ctx) {
    Shared& s = ctx.shared();
    Ring<kept_stages> kv;
    Ring<stages> r;
    int ticket = static_cast<int>(ctx.block_x());
    for (;; kv.next()) {
      const FlashWork w = work(p, ctx, ticket);
      ptx::wait(s.kept_empty[kv.at], kv.parity ^ 1);
      if (ctx.lane() == 0) s.work[kv.at] = w;
      if (w.tiles == 0) break;
      if (ctx.lane() == 0) {
        ptx::arrive_expecting(s.kept_full[kv.at], s.key[0].bytes + s.value[0].bytes);
        load_tile(s.key[kv.at], p.key, s.kept_full[kv.at], w.first, w.head, w.b);
        load_tile(s.value[kv.at], p.value, s.kept_full[kv.at], w.first, w.head, w.b);
        ticket = ctx.atomic_add(p.ticket, 1);
      }
      ticket = static_cast<int>(ctx.blocks_x()) + ctx.shuffle(ticket, 0);
      for (int h = w.head * p.sizes.group; h < (w.head + 1) * p.sizes.group; ++h)
        for (int i = 0; i < w.tiles; ++i, r.next()) {
          const int first = w.begin + i * tile;
          const index_t row = (index_t{w.b} * p.sizes.heads + h) * p.sizes.query_len;
          constexpr int pairs = (tile / 2 + warp_size - 1) / warp_size;  // a lane
          Pack<float, 4> pair[pairs];
          for (int j = 0; j < 2 * pairs; ++j) {
            const int query = first + j / 2 * 2 * warp_size + 2 * ctx.lane() + j % 2;
            const bool exists = query < p.sizes.query_len;
            const float lse = exists ? ctx.load(p.lse + row + query) : OnlineSoftmax::none;
            // A query that sees no key, or is none, has weights 0.
            pair[j / 2].values[j % 2 * 2] = lse == OnlineSoftmax::none ? OnlineSoftmax::none : -lse * log2_of_e;
            pair[j / 2].values[j % 2 * 2 + 1] = exists ? ctx.load(p.delta + row + query) : 0;
          }
          ptx::wait(s.empty[r.at], r.parity ^ 1);
          for (int j = 0; j < pairs; ++j)
            if (j * warp_size + ctx.lane() < tile / 2) s.rows[r.at][j * warp_size + ctx.lane()] = pair[j];
          ctx.sync_warp();
          if (ctx.lane() == 0) {
            ptx::arrive_expecting(s.full[r.at], s.query[0].bytes + s.dout[0].bytes);
            load_tile(s.query[r.at], p.query, s.full[r.at], first, h, w.b);
            load_tile(s.dout[r.at], p.dout, s.full[r.at], first, h, w.b);
          }
        }
    }
    if (ctx.lane() == 0) ptx::arrive(s.kept_full[kv.at]);
  }

  /// The warp is done with a stage.
  ASHLAR_DEVICE static void leave(const Simt<Shared>& ctx, ptx::Barrier& empty) {
    ctx.sync_warp();
    if (ctx.lane() == 0) ptx::arrive(empty);
  }

  ASHLAR_DEVICE static void start_key_sum(float (&dkey)[head_dim / 2], const std::uint32_t (&dscores)[tile / 4],
                                          FlashTile<tile, head_dim>& query) {
    ptx::hold(dkey);
    ptx::wgmma_fence();
    start_sum(dkey, dscores, query);
  }

  ASHLAR_DEVICE static void multiply(const Params& p, Simt<Shared>& ctx, int warpgroup) {
    Shared& s = ctx.shared();
    const bool elected = ctx.thread() % 128 == 0;
    const FlashFragment at(ctx);
    const int row = warpgroup * flash_rows;
    const float scale2 = p.sizes.scale * log2_of_e;
    Ring<kept_stages> kv;
    Ring<stages> r;
    float score[tile / 2], dkey[head_dim / 2], dvalue[value_dim / 2];
    std::uint32_t weights[tile / 4];  // P, then dS
    [[maybe_unused]] QuerySums sums;
    [[maybe_unused]] float fewer[QuerySums::numbers];
    // Of the same registers as scores, where there are as many.
    [[maybe_unused]] auto& dquery = fitting(score, fewer);
    for (;; kv.next()) {
      ptx::wait(s.kept_full[kv.at], kv.parity);
      const FlashWork w = s.work[kv.at];
      if (w.tiles == 0) break;
      const FlashMask<M> mask{p.mask, p.sizes, w.b};
      const int key = w.first + row;
      for (float& x : dkey) x = 0;
      for (float& x : dvalue) x = 0;
      int query = w.begin;
      [[maybe_unused]] bool behind = false;  // the dS of a tile before is there to be multiplied
      if constexpr (Adds) sums.begin(ctx, p.query_sums, w, p.sizes, warpgroup);

      ptx::wait(s.full[r.at], r.parity);
      ptx::hold(score);
      ptx::wgmma_fence();
      start_scores(score, s.key[kv.at], row, s.query[r.at]);
      for (int left = p.sizes.group * w.tiles;;) {
        const bool all = mask.all_visible(query, tile, key, flash_rows);
        ptx::wgmma_wait<0>();
        ptx::hold(score), ptx::hold(dkey), ptx::hold(dvalue), ptx::hold(weights);
        if (!all) mask.template hide<true, Tuning.tested>(score, at, query, key);
#pragma unroll
        for (int i = 0; i < tile / 2; i += 4) {
          const Pack<float, 4> pair = ctx.load(&s.rows[r.at][at.col(i) / 2]);
#pragma unroll
          for (int j = i; j < i + 4; ++j) score[j] = ctx.exp2(score[j] * scale2 + pair.values[j % 2 * 2]);
        }
        to_operand(score, weights);

        // The gradients of weights come into the registers of scores.
        ptx::hold(score), ptx::hold(dvalue);
        ptx::wgmma_fence();
        start_scores(score, s.value[kv.at], row, s.dout[r.at]);
        start_sum(dvalue, weights, s.dout[r.at]);
        ptx::wgmma_wait<0>();
        ptx::hold(score), ptx::hold(dvalue);
#pragma unroll
        for (int i = 0; i < tile / 2; i += 4) {
          const Pack<float, 4> pair = ctx.load(&s.rows[r.at][at.col(i) / 2]);
#pragma unroll
          for (int j = i; j < i + 4; ++j) score[j] = from_operand(weights, j) * (score[j] - pair.values[j % 2 * 2 + 1]);
        }
        to_operand(score, weights);
        if constexpr (Adds) sums.give(ctx, s.query_sums, row, weights);
        if (--left == 0) break;
        query += tile;
        if (query == w.begin + w.tiles * tile) query = w.begin;

        const Ring<stages> used = r;
        r.next();
        if constexpr (Adds) {
          if (behind) {
            sums.start(s.query_sums, s.key[kv.at], warpgroup, dquery);
            start_key_sum(dkey, weights, s.query[used.at]);
            ptx::wgmma_wait<1>();
            sums.add(ctx, s.query_sums, w.tiles, dquery);
          } else {
            start_key_sum(dkey, weights, s.query[used.at]);
          }
          behind = true;
          ptx::wait(s.full[r.at], r.parity);
          ptx::hold(score);
          ptx::wgmma_fence();
        } else {
          ptx::wait(s.full[r.at], r.parity);
          ptx::hold(score);
          start_key_sum(dkey, weights, s.query[used.at]);
        }
        start_scores(score, s.key[kv.at], row, s.query[r.at]);
        ptx::wgmma_wait<1>();  // and so the sums that began before
        leave(ctx, s.empty[used.at]);
      }
      if constexpr (Adds)
        if (behind) {
          sums.start(s.query_sums, s.key[kv.at], warpgroup, dquery);
          ptx::wgmma_wait<0>();
          sums.add(ctx, s.query_sums, w.tiles, dquery);
        }
      start_key_sum(dkey, weights, s.query[r.at]);
      if constexpr (Adds) sums.start(s.query_sums, s.key[kv.at], warpgroup, dquery);
      ptx::wgmma_wait<0>();
      if constexpr (Adds) sums.add(ctx, s.query_sums, w.tiles, dquery);
      ptx::hold(dkey), ptx::hold(dvalue);
      leave(ctx, s.empty[r.at]);
      r.next();

      // The warpgroup's rows of the kept tiles have been used: the gradients leave by them.
      const float scale[2]{p.sizes.scale, p.sizes.scale}, one[2]{1, 1};
      ptx::bar_sync(Adds ? 1 : 1 + warpgroup, Adds ? 128 * warpgroups : 128);  // with dQ, by both warpgroups
      put_result(ctx, s.key[kv.at], row, dkey, 0, scale);
      put_result(ctx, s.value[kv.at], row, dvalue, 0, one);
      ptx::fence_async();
      ptx::bar_sync(1 + warpgroup, 128);
      if (elected) {
        const FlashWork done = s.work[kv.at];  // read again: registers are short
        store_rows(p.accumulate, p.dkey, s.key[kv.at], row, done.first + row, done.head, done.b);
        store_rows(p.accumulate, p.dvalue, s.value[kv.at], row, done.first + row, done.head, done.b);
        ptx::commit_stores();
        ptx::wait_stores_read();
        ptx::arrive(s.kept_empty[kv.at]);
      }
    }
    if (elected) ptx::wait_stores();
  }
};

}  // namespace ashlar::inline v0::ops::cuda::kernel
