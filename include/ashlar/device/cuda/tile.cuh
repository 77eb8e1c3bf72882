// Matrix products by tiles: a block copies a slice of two matrices to shared memory, and every thread adds a small
// rectangle of their product in registers. For any element type, on CUDA cores. Read next: ops/grouped_gemm/cuda.cuh.
#pragma once

#include "ashlar/device/cuda/pack.cuh"
#include "ashlar/device/cuda/simt.cuh"

namespace ashlar::inline v0 {

/// A matrix [rows, cols] in global memory, rows `stride` elements apart.
template <class T>
struct Matrix {
  const T* data;
  index_t stride;
  int rows, cols;

  /// What is left of it from element (row, col) on.
  ASHLAR_DEVICE Matrix from(int row, int col) const {
    return {data + index_t{row} * stride + col, stride, rows - row, cols - col};
  }
};

/// A tile in shared memory, rows `stride` elements apart.
template <class A>
struct SharedTile {
  A* data;
  int stride;
};

/// The distance of rows of a tile: packs stay aligned, and columns of it spread over the banks.
template <class A>
constexpr int tile_stride(int cols) {
  return cols + static_cast<int>(16 / sizeof(A));
}

/// The square of threads that a block is for tile products: thread t has row t / side and column t % side.
inline constexpr int tile_side = 16;
inline constexpr int tile_threads = tile_side * tile_side;

/// What each thread of a block copies of the [Rows, Cols] elements at x.data: step by step, so that a warp reads along
/// rows. take(row, col, value) gets them, zero where x has no element.
template <int Rows, int Cols, class A, class Context, class T, class Take>
ASHLAR_DEVICE void for_each_element(const Context& ctx, const Matrix<T>& x, Take take) {
  static_assert(tile_threads % Cols == 0 && Rows * Cols % tile_threads == 0);
  constexpr int row_step = tile_threads / Cols;
  const int first = ctx.thread() / Cols, col = ctx.thread() % Cols;
  const int rows = col < x.cols ? x.rows : 0;
  const T* p = x.data + first * x.stride + col;
  for (int step = 0; step < Rows / row_step; ++step, p += row_step * x.stride) {
    const int row = first + step * row_step;
    take(row, col, row < rows ? A(ctx.load(p)) : A(0));
  }
}

/// tile [Rows, Cols] = x, zero where x has no element.
template <int Rows, int Cols, class Context, class T, class A>
ASHLAR_DEVICE void load_tile(const Context& ctx, SharedTile<A> tile, const Matrix<T>& x) {
  for_each_element<Rows, Cols, A>(
      ctx, x, [&](int row, int col, A value) { ctx.store(tile.data + row * tile.stride + col, value); });
}

/// tile [Cols, Rows] = x^T, zero where x has no element.
template <int Rows, int Cols, class Context, class T, class A>
ASHLAR_DEVICE void load_tile_transposed(const Context& ctx, SharedTile<A> tile, const Matrix<T>& x) {
  for_each_element<Rows, Cols, A>(
      ctx, x, [&](int row, int col, A value) { ctx.store(tile.data + col * tile.stride + row, value); });
}

/// sum[i][j] += the sum over k < depth of a[k][row + i] b[k][col + j]: both factors lie with the summed index first, so
/// that a thread reads packs.
template <class Context, class A, int Rows, int Cols>
ASHLAR_DEVICE void add_tile_product(const Context& ctx, A (&sum)[Rows][Cols], SharedTile<A> a, int row, SharedTile<A> b,
                                    int col, int depth) {
  for (int k = 0; k < depth; ++k) {
    const auto x = ctx.load(reinterpret_cast<const Pack<A, Rows>*>(a.data + k * a.stride + row));
    const auto y = ctx.load(reinterpret_cast<const Pack<A, Cols>*>(b.data + k * b.stride + col));
    for (int i = 0; i < Rows; ++i)
      for (int j = 0; j < Cols; ++j) sum[i][j] += x.values[i] * y.values[j];
  }
}

/// How a factor of a product lies in memory, seen from the summed index.
enum class Summed {
  along_rows,  // [the factor's own index, summed index], as the weights of a linear layer do
  over_rows,   // [summed index, the factor's own index]
};

/// One tile [16 Micro, 16 Micro] of a product: thread (i, j) of the square has Micro x Micro elements of it, from row
/// i Micro and column j Micro on. `Depth` summed indices go through shared memory at a time.
template <class A, int Micro, int Depth>
struct TileProduct {
  static constexpr int tile = tile_side * Micro, stride = tile_stride<A>(tile);
  struct Shared {
    alignas(16) SharedArray<A, Depth * stride> a, b;
  };

  /// sum += a b^T over `depth` summed indices. Every thread of the block must call it; others may have read `shared`
  /// before without a barrier.
  template <Summed OfA, Summed OfB, class Context, class T>
  ASHLAR_DEVICE static void add(const Context& ctx, Shared& shared, A (&sum)[Micro][Micro], const Matrix<T>& a,
                                const Matrix<T>& b, int depth) {
    const SharedTile<A> tile_a{&shared.a[0], stride}, tile_b{&shared.b[0], stride};
    const int row = ctx.thread() / tile_side * Micro, col = ctx.thread() % tile_side * Micro;
    for (int begin = 0; begin < depth; begin += Depth) {
      ctx.sync();
      load<OfA>(ctx, tile_a, a, begin);
      load<OfB>(ctx, tile_b, b, begin);
      ctx.sync();
      add_tile_product(ctx, sum, tile_a, row, tile_b, col, depth - begin < Depth ? depth - begin : Depth);
    }
  }

 private:
  template <Summed Of, class Context, class T>
  ASHLAR_DEVICE static void load(const Context& ctx, SharedTile<A> to, const Matrix<T>& x, int begin) {
    if constexpr (Of == Summed::along_rows)
      load_tile_transposed<tile, Depth>(ctx, to, x.from(0, begin));
    else
      load_tile<Depth, tile>(ctx, to, x.from(begin, 0));
  }
};

}  // namespace ashlar::inline v0
