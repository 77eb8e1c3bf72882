// Attention forward on Hopper (after Shah et al. 2024, arXiv:2407.08608). A block keeps a tile of queries and lets the
// keys and values that they see stream past. One thread loads, by the copy engine, as far ahead as there are buffers;
// the other warpgroups multiply, each for 64 queries:
//
//   loads       Q | K0 | K1 V0 | K2 V1 | ...              a buffer is filled again when all warpgroups have left it
//   tensor core     S0 | S1 O0 | S2 O1 | ...  Sj = Q Kj^T starts before O += Pj-1 Vj-1, and both before their softmax:
//   softmax              P0    | P1    | ...  so Pj is made while the tensor core works on O, and on the other
//                                             warpgroups' products, which start in turns
//
// Read next: ops/attention/flash_tiles.cuh, flash_softmax.cuh, flash_mask.cuh.
#pragma once

#include "ashlar/device/cuda/pack.cuh"
#include "ashlar/device/cuda/ptx.cuh"
#include "ashlar/ops/attention/flash_mask.cuh"
#include "ashlar/ops/attention/flash_order.cuh"
#include "ashlar/ops/attention/flash_softmax.cuh"
#include "ashlar/ops/attention/flash_tiles.cuh"
#include "ashlar/ops/attention/flash_tuning.hpp"

namespace ashlar::inline v0::ops::cuda::kernel {

/// What a thread's two rows of sums are multiplied by for out, and what an earlier out is, if it is merged.
struct FlashShares {
  float made[2], earlier[2];
};

/// Merges: out and lse hold the result over other keys, and become those over all of them.
template <class M, FlashTuning Tuning, bool Merges = false>
struct FlashForward {
  static constexpr int kept = Tuning.kept(), tile = Tuning.tile, stages = Tuning.stages;
  static constexpr int kept_stages = Tuning.kept_stages, warpgroups = Tuning.warpgroups;
  static constexpr int head_dim = Tuning.head_dim, value_dim = Tuning.value_dim;
  static constexpr int threads = Tuning.threads(), min_blocks = Tuning.blocks, arch = 90;
  static_assert(Tuning.registers_fit());

  struct Params {
    FlashSizes sizes;
    typename M::State mask;
    FlashOrder order;
    ptx::TensorMap query, key, value, out;  // [batch, heads, rows, dim]: boxes of 64 columns; out's of 16 rows
    Rows<const bf16> earlier;               // out again, as Merges reads it
    float* lse;
    int* ticket;  // 0 at the start: blocks draw their tiles from it
  };
  struct Shared {
    FlashTile<kept, head_dim> query[kept_stages];
    FlashTile<tile, head_dim> key[stages];
    FlashTile<tile, value_dim> value[stages];
    FlashTile<kept, Tuning.staged> out;  // on its way to memory
    ptx::Barrier query_full[kept_stages], query_empty[kept_stages];
    ptx::Barrier key_full[stages], key_empty[stages], value_full[stages], value_empty[stages];
    SharedArray<FlashWork, kept_stages> work;  // what the queries are; nothing, when all are done
  };
  static_assert(sizeof(Shared) <= 232448);

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    Shared& s = ctx.shared();
    if (ctx.thread() == 0) {
      for (auto& b : s.query_full) ptx::init(b, 1);
      for (auto& b : s.query_empty) ptx::init(b, warpgroups);
      for (int i = 0; i < stages; ++i) {
        ptx::init(s.key_full[i], 1), ptx::init(s.key_empty[i], warpgroups);
        ptx::init(s.value_full[i], 1), ptx::init(s.value_empty[i], warpgroups);
      }
      ptx::fence_barrier_init();
    }
    ctx.sync();
    if (ctx.thread() < 128) {
      ptx::fewer_registers<Tuning.producer_registers>();
      if (ctx.thread() == 0) load(p, ctx);
    } else {
      ptx::more_registers<Tuning.consumer_registers>();
      multiply(p, ctx, ctx.shuffle(ctx.thread() / 128, 0) - 1);  // the compiler sees that a warp agrees
    }
  }

 private:
  ASHLAR_DEVICE static void load(const Params& p, Simt<Shared>& ctx) {
    Shared& s = ctx.shared();
    Ring<kept_stages> q;
    Ring<stages> kv;
    int ticket = static_cast<int>(ctx.block_x());
    for (;; q.next()) {
      const FlashWork w = query_work<M, kept, tile>(p, ticket);
      ptx::wait(s.query_empty[q.at], q.parity ^ 1);
      s.work[q.at] = w;
      if (w.tiles == 0) break;
      const int kv_head = w.head / p.sizes.group;
      ptx::arrive_expecting(s.query_full[q.at], s.query[0].bytes);
      load_tile(s.query[q.at], p.query, s.query_full[q.at], w.first, w.head, w.b);
      ticket = static_cast<int>(ctx.blocks_x()) + ctx.atomic_add(p.ticket, 1);  // known when it is needed
      for (int i = w.tiles - 1; i >= 0; --i, kv.next()) {
        const int first = w.begin + i * tile;
        ptx::wait(s.key_empty[kv.at], kv.parity ^ 1);
        ptx::arrive_expecting(s.key_full[kv.at], s.key[0].bytes);
        load_tile(s.key[kv.at], p.key, s.key_full[kv.at], first, kv_head, w.b);
        ptx::wait(s.value_empty[kv.at], kv.parity ^ 1);
        ptx::arrive_expecting(s.value_full[kv.at], s.value[0].bytes);
        load_tile(s.value[kv.at], p.value, s.value_full[kv.at], first, kv_head, w.b);
      }
    }
    ptx::arrive(s.query_full[q.at]);
  }

  /// One loop over the tiles of keys of all the block's tiles of queries: the first product of the next tile of queries
  /// starts before the last one of the present tile, and under both runs a softmax, as everywhere else.
  ASHLAR_DEVICE static void multiply(const Params& p, Simt<Shared>& ctx, int warpgroup) {
    Shared& s = ctx.shared();
    const bool elected = ctx.thread() % 128 == 0;
    const FlashFragment at(ctx);
    const Turns<warpgroups> turns(warpgroup);
    const int row = warpgroup * flash_rows;  // of the kept tile
    const float scale2 = p.sizes.scale * log2_of_e;
    Ring<kept_stages> q;
    Ring<stages> k, v;

    // The tile of keys whose scores are made next: number i of those that `work` sees.
    ptx::wait(s.query_full[q.at], q.parity);
    FlashWork work = s.work[q.at];
    int i = work.tiles - 1;

    OnlineSoftmax softmax;
    float score[tile / 2], out[value_dim / 2];
    std::uint32_t weights[tile / 4];
    for (float& x : out) x = 0;
    const auto weigh = [&] {  // scores become weights
      ptx::hold(score);
      if (elected) ptx::arrive(s.key_empty[k.at]);
      if (elected && i == 0) ptx::arrive(s.query_empty[q.at]);
      k.next();
      const FlashMask<M> mask{p.mask, p.sizes, work.b};
      const int query = work.first + row, key = work.begin + i * tile;
      if (!mask.all_visible(query, flash_rows, key, tile))
        mask.template hide<false, Tuning.tested>(score, at, query, key);
      softmax.update(ctx, score, scale2);
    };

    ptx::wait(s.key_full[k.at], k.parity);
    turns.take();
    ptx::hold(score);
    ptx::wgmma_fence();
    start_scores(score, s.query[q.at], row, s.key[k.at]);
    turns.give();
    ptx::wgmma_wait<0>();
    weigh();

    FlashWork done = work;  // the tile of queries whose last sum is under way, if `ended`
    FlashShares shares;
    bool ended = false, under_way = false;
    for (;;) {
      ptx::wgmma_wait<0>();
      ptx::hold(out);
      if (under_way) {
        if (elected) ptx::arrive(s.value_empty[v.at]);
        v.next();
      }
      under_way = true;
      to_operand(score, weights);
      if (ended) {
        store(p, ctx, done, warpgroup, at, shares, out);
        for (float& x : out) x = 0;
      } else {
        softmax.rescale(out);
      }

      ended = i == 0;
      if (ended) {
        done = work;
        finish(p, ctx, work, row, at, softmax, shares);
        q.next();
        ptx::wait(s.query_full[q.at], q.parity);
        work = s.work[q.at], i = work.tiles;
        if (i == 0) break;
        softmax = {};
      }
      --i;

      ptx::wait(s.key_full[k.at], k.parity);
      turns.take();
      ptx::hold(score), ptx::hold(out);
      ptx::wgmma_fence();
      start_scores(score, s.query[q.at], row, s.key[k.at]);
      ptx::wait(s.value_full[v.at], v.parity);
      start_sum(out, weights, s.value[v.at]);
      turns.give();
      ptx::wgmma_wait<1>();
      weigh();
    }

    ptx::wait(s.value_full[v.at], v.parity);
    ptx::hold(out);
    ptx::wgmma_fence();
    start_sum(out, weights, s.value[v.at]);
    ptx::wgmma_wait<0>();
    ptx::hold(out);
    store(p, ctx, done, warpgroup, at, shares, out);
    turns.finish();
    if (ctx.lane() == 0) ptx::wait_stores();
  }

  /// lse of the warpgroup's queries, and what their sums are to be multiplied by.
  ASHLAR_DEVICE static void finish(const Params& p, Simt<Shared>& ctx, const FlashWork& work, int row,
                                   const FlashFragment& at, OnlineSoftmax& softmax, FlashShares& shares) {
    softmax.total(ctx);
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const int query = work.first + row + at.row(2 * r);
      const bool exists = query < p.sizes.query_len;
      float* const place = p.lse + (index_t{work.b} * p.sizes.heads + work.head) * p.sizes.query_len + query;
      const bool seen = softmax.maximum[r] != softmax.none;
      const float root = ctx.rsqrt(softmax.sum[r]);
      float lse = seen ? softmax.maximum[r] * p.sizes.scale + ctx.log(softmax.sum[r]) : softmax.none;
      shares.made[r] = seen ? root * root : 0;
      if constexpr (Merges) {
        const float before = exists ? ctx.load(place) : softmax.none;
        ctx.sync_warp();  // all have read it
        const float top = fmaxf(lse, before), made = seen ? ctx.exp(lse - top) : 0;
        const float old = before != softmax.none ? ctx.exp(before - top) : 0, all = made + old;
        shares.made[r] *= all > 0 ? made / all : 0;
        shares.earlier[r] = all > 0 ? old / all : 0;
        lse = all > 0 ? top + ctx.log(all) : softmax.none;
      }
      if (exists && ctx.lane() % 4 == 0) ctx.store(place, lse);
    }
  }

  /// out of the warpgroup's queries.
  ASHLAR_DEVICE static void store(const Params& p, Simt<Shared>& ctx, const FlashWork& work, int warpgroup,
                                  const FlashFragment& at, const FlashShares& shares, float (&out)[value_dim / 2]) {
    Shared& s = ctx.shared();
    const int row = warpgroup * flash_rows;
    float factor[2]{shares.made[0], shares.made[1]};
    if constexpr (Merges) {
#pragma unroll
      for (int i = 0; i < value_dim / 2; i += 2) {
        const int query = work.first + row + at.row(i), r = i / 2 % 2;
        Pack<bf16, 2> before{bf16(0.f), bf16(0.f)};
        if (query < p.sizes.query_len)
          before = ctx.load(reinterpret_cast<const Pack<bf16, 2>*>(
              p.earlier[index_t{work.b} * p.sizes.query_len + query] + work.head * value_dim + at.col(i)));
        out[i] = out[i] * factor[r] + float(before.values[0]) * shares.earlier[r];
        out[i + 1] = out[i + 1] * factor[r] + float(before.values[1]) * shares.earlier[r];
      }
      factor[0] = factor[1] = 1;
      ctx.sync_warp();  // all have read what is now written
    }
    // Each warp's 16 rows leave by themselves: warps need not meet.
    const int rows = row + ctx.thread() % 128 / warp_size * flash_warp_rows;
#pragma unroll
    for (int c = 0; c < value_dim / 64; c += s.out.boxes) {
      if (ctx.lane() == 0) ptx::wait_stores_read();
      ctx.sync_warp();  // what lay here before has left
      put_result(ctx, s.out, row, out, 64 * c, factor);
      ptx::fence_async();
      ctx.sync_warp();
      if (ctx.lane() == 0) {
        for (int i = 0; i < s.out.boxes; ++i)
          ptx::store(p.out, s.out.box(i, rows), 64 * (c + i), work.first + rows, work.head, work.b);
        ptx::commit_stores();
      }
    }
  }
};

}  // namespace ashlar::inline v0::ops::cuda::kernel
