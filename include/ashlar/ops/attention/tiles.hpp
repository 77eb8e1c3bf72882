// How the Cpu attention cuts its work: tiles of queries and keys, their copies in working precision, and where in the
// tensors they lie.
#pragma once

#include <algorithm>
#include <limits>

#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/ops/attention/arguments.hpp"
#include "ashlar/ops/attention/mask.hpp"
#include "ashlar/ops/matmul/tile_product.hpp"

namespace ashlar::inline v0::ops::cpu {

/// Queries and keys in a tile: two score tiles of floats and what they are made from fit a 32 KiB cache nearly.
inline constexpr index_t query_tile = 64, key_tile = 64;

/// The columns of one head of one tile of rows: `rows` rows from `data` on, `stride` apart.
template <class T>
struct HeadRows {
  T* data;
  index_t stride, rows, dim;
};

/// Rows [begin, begin + rows) of sequence b (which has `capacity` rows) and of head h.
template <class T>
HeadRows<T> head_rows(const TensorView<T, Cpu>& x, index_t capacity, index_t b, index_t begin, index_t rows, index_t h,
                      index_t dim) {
  return {x.row(b * capacity + begin) + h * dim, x.row_stride(), rows, dim};
}

/// target [rows, width] = x, whose padding columns stay as they are.
template <class T, class A>
void load_tile(const HeadRows<const T>& x, A* target, index_t width) {
  for (index_t i = 0; i < x.rows; ++i) {
    const T* const from = x.data + i * x.stride;
    A* const to = target + i * width;
    ASHLAR_SIMD
    for (index_t c = 0; c < x.dim; ++c) to[c] = A(from[c]);
  }
}

/// target [dim, width] = factor x^T, columns past x.rows zero.
template <class T, class A>
void load_transposed(const HeadRows<const T>& x, A factor, A* target, index_t width) {
  for (index_t c = 0; c < x.dim; ++c) {
    A* const to = target + c * width;
    for (index_t i = 0; i < x.rows; ++i) to[i] = factor * A(x.data[i * x.stride + c]);
    std::fill(to + x.rows, to + width, A(0));
  }
}

/// Sets scores [keys, width] to -inf where the mask hides the key (key_begin + row) from the query (query_begin +
/// column); positions in sequence b.
template <class M, class A>
void hide(const typename M::State& state, index_t b, index_t query_begin, index_t queries, index_t key_begin,
          index_t keys, A* scores, index_t width) {
  if (M::all_visible(state, b, query_begin, query_begin + queries, key_begin, key_begin + keys)) return;
  for (index_t k = 0; k < keys; ++k) {
    A* const row = scores + k * width;
    ASHLAR_SIMD
    for (index_t q = 0; q < queries; ++q)
      row[q] = M::visible(state, b, query_begin + q, key_begin + k) ? row[q] : -std::numeric_limits<A>::infinity();
  }
}

}  // namespace ashlar::inline v0::ops::cpu
