// The library's own matrix product on the host, for where there is no oneDNN: blocks that fit the second-level cache,
// copied in the order the tile kernel reads them (Goto and van de Geijn, "Anatomy of high-performance matrix
// multiplication", 2008). bf16 becomes float in that copy. Read next: ops/matmul/tile_product.hpp.
#pragma once

#include <algorithm>

#include "ashlar/core/dtype.hpp"
#include "ashlar/core/loops.hpp"
#include "ashlar/ops/matmul/product.hpp"
#include "ashlar/ops/matmul/tile_product.hpp"

namespace ashlar::inline v0::ops::cpu {

namespace detail {

/// Columns of b that one pass of the tile kernel takes.
template <class A>
inline constexpr index_t strip = 2 * lanes<A>;
/// The most rows (and columns) and terms of a block: a strip of b fills half of a 32 KiB first-level cache.
inline constexpr index_t block_rows = 256, block_terms = 128;

/// target: groups of `group` rows of x [rows, cols], each stored column by column: group g, column j, row i of the
/// group at (g * cols + j) * group + i. x(i, j) = source[i * row + j * col]; rows past the last are zero.
template <class T, class A>
void pack(const T* source, index_t row, index_t col, index_t rows, index_t cols, index_t group, A* target) {
  for (index_t first = 0; first < rows; first += group, target += group * cols) {
    const index_t n = std::min(group, rows - first);
    const T* const from = source + first * row;
    if (row == 1) {
      for (index_t j = 0; j < cols; ++j) {
        ASHLAR_SIMD
        for (index_t i = 0; i < n; ++i) target[j * group + i] = A(from[j * col + i]);
      }
    } else {
      // Pieces of columns short enough for the target's lines to stay in the first-level cache.
      constexpr index_t piece = 16;
      for (index_t begin = 0; begin < cols; begin += piece)
        for (index_t i = 0; i < n; ++i)
          for (index_t j = begin; j < std::min(cols, begin + piece); ++j)
            target[j * group + i] = A(from[i * row + j * col]);
    }
    if (n < group)
      for (index_t j = 0; j < cols; ++j) std::fill(target + j * group + n, target + (j + 1) * group, A(0));
  }
}

/// out = x + beta out, n elements; beta 0 doesn't read out.
template <class A, class C>
void store_row(const A* x, A beta, index_t n, C* out) {
  if (beta == 0) {
    ASHLAR_SIMD
    for (index_t j = 0; j < n; ++j) out[j] = C(x[j]);
  } else {
    ASHLAR_SIMD
    for (index_t j = 0; j < n; ++j) out[j] = C(x[j] + beta * A(out[j]));
  }
}

/// One block of c: `rows` by `cols` from (i0, j0) on. Terms are added in the same order whatever the blocks are.
template <class T, class C>
void block_product(const Product<T, C>& p, index_t i0, index_t rows, index_t j0, index_t cols) {
  using A = Acc<T>;
  constexpr index_t width = strip<A>;
  // Kept by the thread; bounded by the size of blocks.
  thread_local Scratch<A> memory;
  const index_t padded_rows = round_up(rows, tile_rows), padded_cols = round_up(cols, width);
  const index_t depth = std::min(p.k, block_terms);
  A* const packed_b = memory.at_least((padded_rows + padded_cols) * depth + padded_rows * padded_cols);
  A* const sum = packed_b + padded_cols * depth;
  A* const packed_a = sum + padded_rows * padded_cols;
  const index_t a_row = p.transpose_a ? 1 : p.lda, a_col = p.transpose_a ? p.lda : 1;
  const index_t b_row = p.transpose_b ? 1 : p.ldb, b_col = p.transpose_b ? p.ldb : 1;
  for (index_t k0 = 0; k0 < p.k; k0 += block_terms) {
    const index_t terms = std::min(block_terms, p.k - k0);
    pack(p.a + i0 * a_row + k0 * a_col, a_row, a_col, rows, terms, tile_rows, packed_a);
    pack(p.b + j0 * b_col + k0 * b_row, b_col, b_row, cols, terms, width, packed_b);
    for (index_t j = 0; j < padded_cols; j += width)
      for (index_t i = 0; i < padded_rows; i += tile_rows)
        tile_product<A>(tile_rows, width, terms, packed_a + i * terms, 1, tile_rows, packed_b + j * terms, width,
                        sum + i * padded_cols + j, padded_cols, k0 > 0);
  }
  for (index_t i = 0; i < rows; ++i)
    store_row(sum + i * padded_cols, static_cast<A>(p.beta), cols, p.c + (i0 + i) * p.ldc + j0);
}

/// Rows of c that are a few dot products each, as in generation: b is read once, where it lies.
template <class T, class C>
void dot_product_rows(const Product<T, C>& p) {
  using A = Acc<T>;
  ASHLAR_OMP(parallel for if (worth_a_fork(p.n * p.k)))
  for (index_t j = 0; j < p.n; ++j)
    for (index_t i = 0; i < p.m; ++i) {
      const T *const x = p.a + i * p.lda, *const y = p.b + j * p.ldb;
      const A sum = lane_sum<A>(p.k, [=](index_t l) { return A(x[l]) * A(y[l]); });
      store_row(&sum, static_cast<A>(p.beta), 1, p.c + i * p.ldc + j);
    }
}

}  // namespace detail

/// The product for any T; k > 0. The same bits whatever the number of threads.
template <class T, class C>
void blocked_product(const Product<T, C>& p) {
  constexpr index_t few_rows = 4, smallest_block = 64, enough_tasks = 16;
  if (p.m <= few_rows && p.transpose_b && !p.transpose_a) return detail::dot_product_rows(p);
  // Large blocks are copied less often for what they compute; small ones share the work more evenly.
  index_t rows = detail::block_rows, cols = detail::block_rows;
  const auto tasks = [&] { return ceil_div(p.m, rows) * ceil_div(p.n, cols); };
  while (tasks() < enough_tasks && rows > smallest_block) (rows >= cols ? rows : cols) /= 2;
  const index_t across = ceil_div(p.n, cols), count = tasks();
  ASHLAR_OMP(parallel for schedule(dynamic) if (count > 1 && p.m * p.n * p.k > 1 << 20))
  for (index_t t = 0; t < count; ++t) {
    const index_t i0 = t / across * rows, j0 = t % across * cols;
    detail::block_product(p, i0, std::min(rows, p.m - i0), j0, std::min(cols, p.n - j0));
  }
}

}  // namespace ashlar::inline v0::ops::cpu
