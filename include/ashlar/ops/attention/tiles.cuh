// What the attention kernels share: where a head's rows lie, scores of a tile of queries and keys, and tiles times rows
// of a head. Read next: device/cuda/tile.cuh.
#pragma once

#include <limits>
#include <type_traits>

#include "ashlar/device/cuda/tile.cuh"
#include "ashlar/ops/attention/arguments.hpp"
#include "ashlar/ops/attention/mask.hpp"
#include "ashlar/ops/attention/tuning.hpp"

namespace ashlar::inline v0::ops::cuda::kernel {

/// Rows [begin, begin + rows) of sequence b, which has `capacity` rows, and the columns of head h.
template <class T>
ASHLAR_DEVICE Matrix<T> head_rows(const Rows<const T>& x, index_t capacity, index_t b, index_t begin, int rows,
                                  index_t h, index_t dim) {
  return {x[b * capacity + begin] + h * dim, x.stride, rows, static_cast<int>(dim)};
}
/// Element (i, 0) of the same.
template <class T>
ASHLAR_DEVICE T* head_row(const Rows<T>& x, index_t capacity, index_t b, index_t i, index_t h, index_t dim) {
  return x[b * capacity + i] + h * dim;
}

/// Reductions over the threads of one row of the square: all of them get the result.
template <class Context, class A>
ASHLAR_DEVICE A row_sum(const Context& ctx, A value) {
  for (int lanes = tile_side / 2; lanes > 0; lanes /= 2) value += ctx.shuffle_xor(value, lanes);
  return value;
}
template <class Context, class A>
ASHLAR_DEVICE A row_max(const Context& ctx, A value) {
  for (int lanes = tile_side / 2; lanes > 0; lanes /= 2) {
    const A other = ctx.shuffle_xor(value, lanes);
    value = other > value ? other : value;
  }
  return value;
}

/// The size of the tile that begins at `begin`, of `end` elements.
ASHLAR_DEVICE int tile_size(index_t begin, index_t end, int tile) {
  return end - begin < tile ? static_cast<int>(end - begin) : tile;
}

/// A tile of scores, of heads of any dimension, and a tile of results of D columns (padded), by one block of
/// tile_threads threads.
template <class A, int D>
struct AttentionTile {
  static constexpr int micro = std::is_same_v<A, double> ? attention_tuning.double_micro : attention_tuning.float_micro;
  using Scores = TileProduct<A, micro, attention_tuning.depth>;
  static constexpr int tile = Scores::tile, stride = Scores::stride;
  /// Results are made in slices of their columns, `slice` wide; a thread has `cols` columns of a slice.
  static constexpr int slice = D < tile ? D : tile, slices = D / slice, cols = slice / tile_side;
  /// Rows of a head that go through shared memory at a time, for results: as many as fit where the factors of scores
  /// do.
  static constexpr int depth = 2 * attention_tuning.depth < tile ? 2 * attention_tuning.depth : tile;
  static_assert(D % slice == 0 && slice % tile_side == 0);
  /// Results take most of the registers: where rows of a head are longer, two blocks' don't fit a multiprocessor.
  static constexpr int min_blocks = D * int{sizeof(A)} <= attention_tuning.two_blocks_bytes ? 2 : 1;
  static constexpr A infinity = std::numeric_limits<A>::infinity();

  struct Shared {
    typename Scores::Shared factors;
    alignas(16) SharedArray<A, tile * stride> weights;
    alignas(16) SharedArray<A, depth * stride> rows;
  };
  using Square = A[micro][micro];
  using Result = A[slices][micro][cols];

  template <class Context>
  ASHLAR_DEVICE static int row(const Context& ctx) {
    return ctx.thread() / tile_side * micro;
  }
  template <class Context>
  ASHLAR_DEVICE static int col(const Context& ctx) {
    return ctx.thread() % tile_side * micro;
  }

  /// s = x y^T, summed over the head dimension.
  template <class Context, class T>
  ASHLAR_DEVICE static void scores(const Context& ctx, Shared& shared, Square& s, const Matrix<T>& x,
                                   const Matrix<T>& y) {
    for (int i = 0; i < micro; ++i)
      for (int j = 0; j < micro; ++j) s[i][j] = 0;
    Scores::template add<Summed::along_rows, Summed::along_rows>(ctx, shared.factors, s, x, y, x.cols);
  }

  /// shared.weights = s, or s^T: every thread writes its own elements.
  template <bool Transposed, class Context>
  ASHLAR_DEVICE static void set_weights(const Context& ctx, Shared& shared, const Square& s) {
    for (int i = 0; i < micro; ++i) {
      Pack<A, micro> pack;
      for (int j = 0; j < micro; ++j) pack.values[j] = Transposed ? s[j][i] : s[i][j];
      ctx.store(weights<Transposed>(ctx, shared, i), pack);
    }
  }
  /// s = what the thread has set.
  template <bool Transposed, class Context>
  ASHLAR_DEVICE static void get_weights(const Context& ctx, Shared& shared, Square& s) {
    for (int i = 0; i < micro; ++i) {
      const Pack<A, micro> pack = ctx.load(weights<Transposed>(ctx, shared, i));
      for (int j = 0; j < micro; ++j) (Transposed ? s[j][i] : s[i][j]) = pack.values[j];
    }
  }

  /// result += weights^T x, summed over the rows of x, which are at most a tile. Every thread of the block must call
  /// it. Weights set before are seen by all; they may be set again after one more barrier.
  template <class Context, class T>
  ASHLAR_DEVICE static void add(const Context& ctx, Shared& shared, Result& result, const Matrix<T>& x) {
    for (int begin = 0; begin < tile && begin < x.rows; begin += depth) add_slices<0>(ctx, shared, result, x, begin);
  }

  /// y = result (added to y when `accumulate`), row i of it times factor[i], of the elements that exist: [rows, dim],
  /// rows y_stride apart.
  template <class Context, class T>
  ASHLAR_DEVICE static void store(const Context& ctx, const Result& result, const A (&factor)[micro], T* y,
                                  index_t y_stride, int rows, index_t dim, bool accumulate = false) {
    store_slices<0>(ctx, result, factor, y + row(ctx) * y_stride, y_stride, rows - row(ctx), dim, accumulate);
  }
  /// Row i of result = that of y.
  template <class Context, class T>
  ASHLAR_DEVICE static void load_row(const Context& ctx, Result& result, int i, const T* y, index_t y_stride,
                                     index_t dim) {
    for (int s = 0; s < slices; ++s)
      for (int j = 0; j < cols; ++j) {
        const int c = s * slice + ctx.thread() % tile_side * cols + j;
        if (c < dim) result[s][i][j] = A(ctx.load(y + (row(ctx) + i) * y_stride + c));
      }
  }

 private:
  /// Where the thread's i-th row (column, when Transposed) of weights lies.
  template <bool Transposed, class Context>
  ASHLAR_DEVICE static Pack<A, micro>* weights(const Context& ctx, Shared& shared, int i) {
    const int first = Transposed ? col(ctx) : row(ctx), across = Transposed ? row(ctx) : col(ctx);
    return reinterpret_cast<Pack<A, micro>*>(&shared.weights[(first + i) * stride + across]);
  }
  /// A recursion, not a loop: results stay in registers only where the compiler knows which slice they are of.
  template <int Slice, class Context, class T>
  ASHLAR_DEVICE static void add_slices(const Context& ctx, Shared& shared, Result& result, const Matrix<T>& x,
                                       int begin) {
    const SharedTile<A> rows{&shared.rows[0], stride}, weights{&shared.weights[begin * stride], stride};
    ctx.sync();
    load_tile<depth, slice>(ctx, rows, x.from(begin, Slice * slice));
    ctx.sync();
    const int left = x.rows - begin;
    add_tile_product(ctx, result[Slice], weights, row(ctx), rows, ctx.thread() % tile_side * cols,
                     left < depth ? left : depth);
    if constexpr (Slice + 1 < slices) add_slices<Slice + 1>(ctx, shared, result, x, begin);
  }
  /// The thread's part of store, its rows from y on: a recursion for the same reason.
  template <int Slice, class Context, class T>
  ASHLAR_DEVICE static void store_slices(const Context& ctx, const Result& result, const A (&factor)[micro], T* y,
                                         index_t y_stride, int rows, index_t dim, bool accumulate) {
    const int first = Slice * slice + ctx.thread() % tile_side * cols;
    for (int i = 0; i < micro; ++i)
      for (int j = 0; j < cols; ++j) {
        T* const to = y + i * y_stride + first + j;
        if (i >= rows || first + j >= dim) continue;
        ctx.store(
            to, accumulate ? T(A(ctx.load(to)) + result[Slice][i][j] * factor[i]) : T(result[Slice][i][j] * factor[i]));
      }
    if constexpr (Slice + 1 < slices) store_slices<Slice + 1>(ctx, result, factor, y, y_stride, rows, dim, accumulate);
  }
};

/// Whether a query sees a key of a tile. Rows outside of the tile's queries and keys are hidden.
template <class M>
struct TileMask {
  typename M::State state;
  index_t b, query_begin, key_begin;
  int queries, keys;
  bool all;

  /// The tiles begin at rows q and k of sequence b.
  ASHLAR_DEVICE TileMask(const AttentionShape& shape, const typename M::State& s, index_t sequence, index_t q,
                         int q_count, index_t k, int k_count)
      : state(s),
        b(sequence),
        query_begin(shape.query_begin + q),
        key_begin(shape.key_begin + k),
        queries(q_count),
        keys(k_count),
        all(M::all_visible(s, b, query_begin, query_begin + queries, key_begin, key_begin + keys)) {}
  ASHLAR_DEVICE bool visible(int q, int k) const {
    return q < queries && k < keys && (all || M::visible(state, b, query_begin + q, key_begin + k));
  }
};

}  // namespace ashlar::inline v0::ops::cuda::kernel
