// Attention on Cuda, forward: a block has a tile of queries of one head and goes through the keys that they see, tile
// by tile, with an online softmax (Milakov and Gimelshein 2018, arXiv:1805.02867). Read next: ops/attention/tiles.cuh,
// ops/attention/backward.cuh.
#pragma once

#include "ashlar/ops/attention/tiles.cuh"

namespace ashlar::inline v0::ops::cuda::kernel {

template <class M, class T>
struct AttentionParams {
  AttentionShape shape;
  typename M::State mask;
  Rows<const T> query, key, value;
  Rows<T> out;
  Acc<T>* lse;
  Merge merge;
};

/// D: the padded dimension of values.
template <class M, class T, int D>
struct Attention {
  using A = Acc<T>;
  using Tile = AttentionTile<A, D>;
  using Params = AttentionParams<M, T>;
  using Shared = typename Tile::Shared;
  static constexpr int threads = tile_threads, min_blocks = Tile::min_blocks, micro = Tile::micro, tile = Tile::tile;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const AttentionShape& s = p.shape;
    const index_t b = ctx.block_z(), h = ctx.block_y(), kv = h / (s.heads / s.kv_heads);
    // Under a causal mask the last queries see most keys: they begin first.
    const index_t first = (ctx.blocks_x() - 1 - ctx.block_x()) * tile;
    const int queries = tile_size(first, s.query_len, tile);
    const Matrix<T> query = head_rows(p.query, s.query_len, b, first, queries, h, s.head_dim);
    T* const result = head_row(p.out, s.query_len, b, first, h, s.value_dim);
    Acc<T>* const lse = p.lse + (b * s.heads + h) * s.query_len + first;

    constexpr A none = -Tile::infinity;
    typename Tile::Result out = {};
    A maximum[micro], sum[micro];
    for (int i = 0; i < micro; ++i) maximum[i] = none, sum[i] = 0;
    if (p.merge == Merge::by_lse) {  // begin with the result over other keys: a softmax that has seen them
      for (int i = 0; i < micro; ++i) {
        const int row = Tile::row(ctx) + i;
        if (row < queries) maximum[i] = ctx.load(lse + row);
        if (maximum[i] == none) continue;
        sum[i] = 1;
        Tile::load_row(ctx, out, i, result, p.out.stride, s.value_dim);
      }
      ctx.sync();  // all have read lse before one writes it
    }
    const KeyRange seen = s.keys_of<M>(p.mask, b, first, queries);
    for (index_t k = seen.begin; k < seen.end; k += tile) {
      const int keys = tile_size(k, seen.end, tile);
      typename Tile::Square score;
      Tile::scores(ctx, ctx.shared(), score, query, head_rows(p.key, s.key_capacity, b, k, keys, kv, s.head_dim));
      const TileMask<M> mask(s, p.mask, b, first, queries, k, keys);
      for (int i = 0; i < micro; ++i) {
        A largest = none;
        for (int j = 0; j < micro; ++j) {
          score[i][j] = mask.visible(Tile::row(ctx) + i, Tile::col(ctx) + j) ? score[i][j] * A(s.scale) : none;
          largest = score[i][j] > largest ? score[i][j] : largest;
        }
        largest = row_max(ctx, largest);
        const A next = largest > maximum[i] ? largest : maximum[i];
        // A query that has seen no key yet is shifted by 0, so that its exponentials are 0 and not NaN.
        const A shift = next == none ? A(0) : next;
        const A factor = ctx.exp(maximum[i] - shift);
        maximum[i] = next;
        A part = 0;
        for (int j = 0; j < micro; ++j) {
          score[i][j] = ctx.exp(score[i][j] - shift);
          part += score[i][j];
        }
        sum[i] = sum[i] * factor + row_sum(ctx, part);
        for (int slice = 0; slice < Tile::slices; ++slice)
          for (int j = 0; j < Tile::cols; ++j) out[slice][i][j] *= factor;
      }
      Tile::template set_weights<true>(ctx, ctx.shared(), score);
      Tile::add(ctx, ctx.shared(), out, head_rows(p.value, s.key_capacity, b, k, keys, kv, s.value_dim));
    }

    A factor[micro];
    for (int i = 0; i < micro; ++i) {
      factor[i] = sum[i] == 0 ? A(0) : A(1) / sum[i];
      const int row = Tile::row(ctx) + i;
      if (row < queries && ctx.thread() % tile_side == 0) ctx.store(lse + row, maximum[i] + ctx.log(sum[i]));
    }
    Tile::store(ctx, out, factor, result, p.out.stride, queries, s.value_dim);
  }
};

}  // namespace ashlar::inline v0::ops::cuda::kernel
