// Attention backward on Hopper, the gradient of queries, by a pass of its own: a block keeps a tile of queries and of
// dout and lets keys and values stream past, so that every gradient is summed by one warpgroup, in one order, and no
// sums in memory are needed. Scores are made a second time for it: seven products in place of five.
//
//   tensor core   S0 dP0 |        | dQ0 | S1 dP1 |        | dQ1 | S2 dP2 ...   the gaps of one warpgroup are filled by
//   softmax              | P0 dS0 |              | P1 dS1 |                     products of the other
//
// Read next: ops/attention/flash.cuh.
#pragma once

#include "ashlar/device/cuda/ptx.cuh"
#include "ashlar/ops/attention/flash_mask.cuh"
#include "ashlar/ops/attention/flash_order.cuh"
#include "ashlar/ops/attention/flash_softmax.cuh"
#include "ashlar/ops/attention/flash_tiles.cuh"
#include "ashlar/ops/attention/flash_tuning.hpp"

namespace ashlar::inline v0::ops::cuda::kernel {

template <class M, FlashTuning Tuning>
struct FlashQueryGradient {
  static constexpr int kept = Tuning.kept(), tile = Tuning.tile, stages = Tuning.stages;
  static constexpr int kept_stages = Tuning.kept_stages, warpgroups = Tuning.warpgroups;
  static constexpr int head_dim = Tuning.head_dim, value_dim = Tuning.value_dim;
  static constexpr int threads = Tuning.threads(), min_blocks = Tuning.blocks, arch = 90;
  static_assert(Tuning.registers_fit());

  struct Params {
    FlashSizes sizes;
    typename M::State mask;
    FlashOrder order;
    ptx::TensorMap query, key, value, dout, dquery;  // boxes of 64 columns; dquery's of 64 rows
    const float *lse, *delta;                        // [batch, heads, query_len]
    int* ticket;
    bool accumulate;  // onto what dquery is
  };
  struct Shared {
    FlashTile<kept, head_dim> query[kept_stages];  // and dquery on its way to memory
    FlashTile<kept, value_dim> dout[kept_stages];
    FlashTile<tile, head_dim> key[stages];
    FlashTile<tile, value_dim> value[stages];
    ptx::Barrier kept_full[kept_stages], kept_empty[kept_stages], full[stages], empty[stages];
    SharedArray<FlashWork, kept_stages> work;
  };

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    Shared& s = ctx.shared();
    if (ctx.thread() == 0) {
      for (auto& b : s.kept_full) ptx::init(b, 1);
      for (auto& b : s.kept_empty) ptx::init(b, warpgroups);
      for (auto& b : s.full) ptx::init(b, 1);
      for (auto& b : s.empty) ptx::init(b, warpgroups);
      ptx::fence_barrier_init();
    }
    ctx.sync();
    if (ctx.thread() < 128) {
      ptx::fewer_registers<Tuning.producer_registers>();
      if (ctx.thread() == 0) load(p, ctx);
    } else {
      ptx::more_registers<Tuning.consumer_registers>();
      multiply(p, ctx, ctx.shuffle(ctx.thread() / 128, 0) - 1);
    }
  }

 private:
  ASHLAR_DEVICE static void load(const Params& p, Simt<Shared>& ctx) {
    Shared& s = ctx.shared();
    Ring<kept_stages> q;
    Ring<stages> r;
    int ticket = static_cast<int>(ctx.block_x());
    for (;; q.next()) {
      const FlashWork w = query_work<M, kept, tile>(p, ticket);
      ptx::wait(s.kept_empty[q.at], q.parity ^ 1);
      s.work[q.at] = w;
      if (w.tiles == 0) break;
      const int kv_head = w.head / p.sizes.group;
      ptx::arrive_expecting(s.kept_full[q.at], s.query[0].bytes + s.dout[0].bytes);
      load_tile(s.query[q.at], p.query, s.kept_full[q.at], w.first, w.head, w.b);
      load_tile(s.dout[q.at], p.dout, s.kept_full[q.at], w.first, w.head, w.b);
      ticket = static_cast<int>(ctx.blocks_x()) + ctx.atomic_add(p.ticket, 1);
      for (int i = w.tiles - 1; i >= 0; --i, r.next()) {
        const int first = w.begin + i * tile;
        ptx::wait(s.empty[r.at], r.parity ^ 1);
        ptx::arrive_expecting(s.full[r.at], s.key[0].bytes + s.value[0].bytes);
        load_tile(s.key[r.at], p.key, s.full[r.at], first, kv_head, w.b);
        load_tile(s.value[r.at], p.value, s.full[r.at], first, kv_head, w.b);
      }
    }
    ptx::arrive(s.kept_full[q.at]);
  }

  ASHLAR_DEVICE static void multiply(const Params& p, Simt<Shared>& ctx, int warpgroup) {
    Shared& s = ctx.shared();
    const bool elected = ctx.thread() % 128 == 0;
    const FlashFragment at(ctx);
    const int row = warpgroup * flash_rows;
    const float scale2 = p.sizes.scale * log2_of_e;
    Ring<kept_stages> q;
    Ring<stages> r;
    float score[tile / 2], dweight[tile / 2], dquery[head_dim / 2];
    std::uint32_t dscores[tile / 4];
    for (;; q.next()) {
      ptx::wait(s.kept_full[q.at], q.parity);
      const FlashWork w = s.work[q.at];
      if (w.tiles == 0) break;
      const FlashMask<M> mask{p.mask, p.sizes, w.b};
      const int first = w.first + row;
      for (float& x : dquery) x = 0;

      float lse2[2], delta[2];  // -lse in base 2
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        const int query = first + at.row(2 * j);
        const index_t place = (index_t{w.b} * p.sizes.heads + w.head) * p.sizes.query_len + query;
        const float lse = query < p.sizes.query_len ? ctx.load(p.lse + place) : OnlineSoftmax::none;
        // A query that sees no key, or is none, has weights 0.
        lse2[j] = lse == OnlineSoftmax::none ? OnlineSoftmax::none : -lse * log2_of_e;
        delta[j] = query < p.sizes.query_len ? ctx.load(p.delta + place) : 0;
      }
      ptx::wait(s.full[r.at], r.parity);
      ptx::wgmma_fence();
      start_scores(score, s.query[q.at], row, s.key[r.at]);
      start_scores(dweight, s.dout[q.at], row, s.value[r.at]);
      for (int i = w.tiles - 1;; --i) {
        const int key = w.begin + i * tile;
        const bool all = mask.all_visible(first, flash_rows, key, tile);
        ptx::wgmma_wait<0>();
        ptx::hold(score), ptx::hold(dweight), ptx::hold(dquery);
        if (!all) mask.template hide<false, Tuning.tested>(score, at, first, key);
#pragma unroll
        for (int j = 0; j < tile / 2; ++j)
          dweight[j] = ctx.exp2(score[j] * scale2 + lse2[j / 2 % 2]) * (dweight[j] - delta[j / 2 % 2]);
        to_operand(dweight, dscores);
        if (i == 0) break;

        const Ring<stages> used = r;
        r.next();
        ptx::hold(dquery);
        ptx::wgmma_fence();
        start_sum(dquery, dscores, s.key[used.at]);
        ptx::wgmma_wait<0>();
        ptx::hold(dquery);
        if (elected) ptx::arrive(s.empty[used.at]);
        ptx::wait(s.full[r.at], r.parity);
        ptx::hold(score), ptx::hold(dweight);
        ptx::wgmma_fence();
        start_scores(score, s.query[q.at], row, s.key[r.at]);
        start_scores(dweight, s.dout[q.at], row, s.value[r.at]);
      }
      ptx::hold(dquery);
      ptx::wgmma_fence();
      start_sum(dquery, dscores, s.key[r.at]);
      ptx::wgmma_wait<0>();
      ptx::hold(dquery);
      if (elected) ptx::arrive(s.empty[r.at]);
      r.next();

      // The warpgroup's rows of the queries have been used: the gradient leaves by them.
      const float scale[2]{p.sizes.scale, p.sizes.scale};
      ptx::bar_sync(1 + warpgroup, 128);
      put_result(ctx, s.query[q.at], row, dquery, 0, scale);
      ptx::fence_async();
      ptx::bar_sync(1 + warpgroup, 128);
      if (elected) {
        const FlashWork done = s.work[q.at];  // read again: registers are short
        store_rows(p.accumulate, p.dquery, s.query[q.at], row, done.first + row, done.head, done.b);
        ptx::commit_stores();
        ptx::wait_stores_read();
        ptx::arrive(s.kept_empty[q.at]);
      }
    }
    if (elected) ptx::wait_stores();
  }
};

}  // namespace ashlar::inline v0::ops::cuda::kernel
