// Attention on Cuda, backward: scores and their gradients are made again from lse (Dao et al. 2022, arXiv:2205.14135),
// once by blocks that have a tile of keys and once by blocks that have a tile of queries. So every gradient is summed
// by one thread, in one order. Read next: ops/attention/tiles.cuh.
#pragma once

#include "ashlar/device/cuda/reduce.cuh"
#include "ashlar/ops/attention/tiles.cuh"

namespace ashlar::inline v0::ops::cuda::kernel {

/// delta [B heads query_len] = the products of rows of out and dout; a warp has a row.
template <class T>
struct AttentionDelta {
  using A = Acc<T>;
  struct Params {
    AttentionShape shape;
    Rows<const T> out, dout;
    A* delta;
  };
  using Shared = NoShared;
  static constexpr int threads = attention_tuning.delta_threads, rows_per_block = threads / warp_size;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const AttentionShape& s = p.shape;
    const index_t q = ctx.block_x() * rows_per_block + ctx.warp(), h = ctx.block_y(), b = ctx.block_z();
    if (q >= s.query_len) return;
    const T* const out = head_row(p.out, s.query_len, b, q, h, s.value_dim);
    const T* const dout = head_row(p.dout, s.query_len, b, q, h, s.value_dim);
    A sum = 0;
    for (index_t c = ctx.lane(); c < s.value_dim; c += warp_size) sum += A(ctx.load(out + c)) * A(ctx.load(dout + c));
    sum = warp_sum(ctx, sum);
    if (ctx.lane() == 0) ctx.store(p.delta + (b * s.heads + h) * s.query_len + q, sum);
  }
};

template <class M, class T>
struct AttentionBackwardParams {
  AttentionShape shape;
  typename M::State mask;
  Rows<const T> query, key, value, dout;
  const Acc<T>*lse, *delta;
  Rows<T> dquery, dkey, dvalue;
  bool accumulate;
};

/// What both kernels do with one tile of queries and one of keys.
template <class M, class T, int D>
struct AttentionGradientTile : AttentionTile<Acc<T>, D> {
  using A = Acc<T>;
  using Tile = AttentionTile<A, D>;
  using Tile::infinity;
  using Tile::micro;
  using typename Tile::Shared;
  using typename Tile::Square;

  /// lse and delta of the thread's rows. A query that sees no key (lse -inf) gets lse = inf: its probabilities are 0.
  struct Statistics {
    A lse[micro], delta[micro];
  };
  template <class Context>
  ASHLAR_DEVICE static Statistics statistics(const Context& ctx, const AttentionBackwardParams<M, T>& p, index_t first,
                                             int queries) {
    Statistics out;
    for (int i = 0; i < micro; ++i) {
      const int row = Tile::row(ctx) + i;
      const A lse = row < queries ? ctx.load(p.lse + first + row) : infinity;
      out.lse[i] = lse == -infinity ? infinity : lse;
      out.delta[i] = row < queries ? ctx.load(p.delta + first + row) : A(0);
    }
    return out;
  }

  /// The weights (transposed or not) = exp(score - lse) where the mask lets the query see the key, else 0. They lie in
  /// shared memory while other products are made: registers are short.
  template <bool Transposed, class Context>
  ASHLAR_DEVICE static void probabilities(const Context& ctx, Shared& shared, const TileMask<M>& mask, A scale,
                                          const Statistics& rows, const Matrix<T>& query, const Matrix<T>& key) {
    Square score;
    Tile::scores(ctx, shared, score, query, key);
    for (int i = 0; i < micro; ++i)
      for (int j = 0; j < micro; ++j) {
        const bool visible = mask.visible(Tile::row(ctx) + i, Tile::col(ctx) + j);
        score[i][j] = visible ? ctx.exp(score[i][j] * scale - rows.lse[i]) : A(0);
      }
    Tile::template set_weights<Transposed>(ctx, shared, score);
  }
  /// Turns those weights into the gradients of scores, but for the factor `scale`: probability (dout value^T - delta),
  /// and 0 where the probability is 0, whatever the other factor is.
  template <bool Transposed, class Context>
  ASHLAR_DEVICE static void score_gradient(const Context& ctx, Shared& shared, const Statistics& rows,
                                           const Matrix<T>& dout, const Matrix<T>& value) {
    Square probability, gradient;
    Tile::scores(ctx, shared, gradient, dout, value);
    Tile::template get_weights<Transposed>(ctx, shared, probability);
    for (int i = 0; i < micro; ++i)
      for (int j = 0; j < micro; ++j)
        gradient[i][j] = probability[i][j] == 0 ? A(0) : probability[i][j] * (gradient[i][j] - rows.delta[i]);
    Tile::template set_weights<Transposed>(ctx, shared, gradient);
  }
};

/// A block has a tile of keys of one key-value head, and goes through its heads and their queries. D: the padded
/// dimension of heads and of values, whichever is larger.
template <class M, class T, int D>
struct AttentionKeyGradient {
  using A = Acc<T>;
  using Tile = AttentionGradientTile<M, T, D>;
  using Params = AttentionBackwardParams<M, T>;
  using Shared = typename Tile::Shared;
  static constexpr int threads = tile_threads, min_blocks = Tile::min_blocks, micro = Tile::micro, tile = Tile::tile;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const AttentionShape& s = p.shape;
    const index_t b = ctx.block_z(), kv = ctx.block_y(), group = s.heads / s.kv_heads, dim = s.head_dim;
    const index_t k = ctx.block_x() * tile;
    const int keys = tile_size(k, s.key_len, tile);
    const Matrix<T> key = head_rows(p.key, s.key_capacity, b, k, keys, kv, dim);
    const Matrix<T> value = head_rows(p.value, s.key_capacity, b, k, keys, kv, s.value_dim);
    typename Tile::Result dkey = {}, dvalue = {};
    for (index_t h = kv * group; h < (kv + 1) * group; ++h)
      for (index_t first = 0; first < s.query_len; first += tile) {
        const int queries = tile_size(first, s.query_len, tile);
        const KeyRange seen = s.keys_of<M>(p.mask, b, first, queries);
        if (seen.begin >= k + keys || seen.end <= k) continue;
        const Matrix<T> query = head_rows(p.query, s.query_len, b, first, queries, h, dim);
        const Matrix<T> dout = head_rows(p.dout, s.query_len, b, first, queries, h, s.value_dim);
        const auto rows = Tile::statistics(ctx, p, (b * s.heads + h) * s.query_len + first, queries);
        const TileMask<M> mask(s, p.mask, b, first, queries, k, keys);
        Tile::template probabilities<false>(ctx, ctx.shared(), mask, A(s.scale), rows, query, key);
        Tile::add(ctx, ctx.shared(), dvalue, dout);
        Tile::template score_gradient<false>(ctx, ctx.shared(), rows, dout, value);
        Tile::add(ctx, ctx.shared(), dkey, query);
      }
    A one[micro], scale[micro];
    for (int i = 0; i < micro; ++i) one[i] = 1, scale[i] = A(s.scale);
    Tile::store(ctx, dvalue, one, head_row(p.dvalue, s.key_capacity, b, k, kv, s.value_dim), p.dvalue.stride, keys,
                s.value_dim, p.accumulate);
    Tile::store(ctx, dkey, scale, head_row(p.dkey, s.key_capacity, b, k, kv, dim), p.dkey.stride, keys, dim,
                p.accumulate);
  }
};

/// A block has a tile of queries of one head, and goes through the keys that they see. D: the padded dimension of
/// heads.
template <class M, class T, int D>
struct AttentionQueryGradient {
  using A = Acc<T>;
  using Tile = AttentionGradientTile<M, T, D>;
  using Params = AttentionBackwardParams<M, T>;
  using Shared = typename Tile::Shared;
  static constexpr int threads = tile_threads, min_blocks = Tile::min_blocks, micro = Tile::micro, tile = Tile::tile;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const AttentionShape& s = p.shape;
    const index_t b = ctx.block_z(), h = ctx.block_y(), kv = h / (s.heads / s.kv_heads), dim = s.head_dim;
    const index_t first = (ctx.blocks_x() - 1 - ctx.block_x()) * tile;  // the longest first, as forward
    const int queries = tile_size(first, s.query_len, tile);
    const Matrix<T> query = head_rows(p.query, s.query_len, b, first, queries, h, dim);
    const Matrix<T> dout = head_rows(p.dout, s.query_len, b, first, queries, h, s.value_dim);
    const auto rows = Tile::statistics(ctx, p, (b * s.heads + h) * s.query_len + first, queries);
    typename Tile::Result dquery = {};
    const KeyRange seen = s.keys_of<M>(p.mask, b, first, queries);
    for (index_t k = seen.begin; k < seen.end; k += tile) {
      const int keys = tile_size(k, seen.end, tile);
      const Matrix<T> key = head_rows(p.key, s.key_capacity, b, k, keys, kv, dim);
      const Matrix<T> value = head_rows(p.value, s.key_capacity, b, k, keys, kv, s.value_dim);
      const TileMask<M> mask(s, p.mask, b, first, queries, k, keys);
      Tile::template probabilities<true>(ctx, ctx.shared(), mask, A(s.scale), rows, query, key);
      Tile::template score_gradient<true>(ctx, ctx.shared(), rows, dout, value);
      Tile::add(ctx, ctx.shared(), dquery, key);
    }
    A scale[micro];
    for (int i = 0; i < micro; ++i) scale[i] = A(s.scale);
    Tile::store(ctx, dquery, scale, head_row(p.dquery, s.query_len, b, first, h, dim), p.dquery.stride, queries, dim,
                p.accumulate);
  }
};

}  // namespace ashlar::inline v0::ops::cuda::kernel
