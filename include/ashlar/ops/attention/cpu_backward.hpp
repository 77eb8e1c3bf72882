// Attention on the host, backward: scores and their gradients are made again tile by tile from lse (Dao et al. 2022).
// Read next: ops/attention/tiles.hpp.
#pragma once

#include <algorithm>
#include <limits>

#include "ashlar/core/math.hpp"
#include "ashlar/core/parallel.hpp"
#include "ashlar/ops/attention/tiles.hpp"

namespace ashlar::inline v0::ops::cpu {

/// Writes x [rows, width], times factor, over `target`.
template <class T, class A>
void store_tile(const A* x, A factor, index_t width, const HeadRows<T>& target) {
  for (index_t i = 0; i < target.rows; ++i) {
    const A* const from = x + i * width;
    T* const to = target.data + i * target.stride;
    ASHLAR_SIMD
    for (index_t c = 0; c < target.dim; ++c) to[c] = T(from[c] * factor);
  }
}

/// In place, probability = exp(scores - lse) and dscore = probability (dscore - delta), all [keys, width].
template <class A>
void score_gradient(index_t keys, index_t width, const A* lse, const A* delta, A* scores, A* dscore) {
  for (index_t k = 0; k < keys; ++k) {
    A* const p = scores + k * width;
    A* const d = dscore + k * width;
    ASHLAR_SIMD
    for (index_t q = 0; q < width; ++q) {
      p[q] = fast_exp(p[q] - lse[q]);
      d[q] = p[q] * (d[q] - delta[q]);
    }
  }
  const index_t padded = round_up(keys, tile_rows);
  std::fill(scores + keys * width, scores + padded * width, A(0));
  std::fill(dscore + keys * width, dscore + padded * width, A(0));
}

/// delta is workspace of other devices: here it lies in a tile.
template <class M, class T>
void attention_backward(const AttentionShape& s, const typename M::State& mask, TensorView<const T, Cpu> query,
                        TensorView<const T, Cpu> key, TensorView<const T, Cpu> value, TensorView<const T, Cpu> out,
                        TensorView<const Acc<T>, Cpu> lse, TensorView<const T, Cpu> dout, TensorView<T, Cpu> dquery,
                        TensorView<T, Cpu> dkey, TensorView<T, Cpu> dvalue, TensorView<Acc<T>, Cpu>) {
  using A = Acc<T>;
  const index_t dim = round_up(s.head_dim, lanes<A>), group = s.heads / s.kv_heads;
  const index_t max_width = round_up(std::min(s.query_len, query_tile), tile_padding<A>);
  // A mask's range may begin anywhere: its last tile ends up to a register tile past the keys.
  const index_t key_rows = round_up(s.key_len, key_tile) + tile_rows;
  const A scale = static_cast<A>(s.scale);
  ASHLAR_OMP(parallel if (worth_a_fork(s.batch * s.heads * s.query_len * s.key_len))) {
    Scratch<A> q(max_width * dim), qt(max_width * dim), d(max_width * dim), dt(max_width * dim), o(max_width * dim),
        dq(max_width * dim), k(key_tile * dim), v(key_tile * dim), scores(key_tile * max_width),
        dscores(key_tile * max_width), tile_lse(max_width), tile_delta(max_width), dk(key_rows * dim),
        dv(key_rows * dim);
    // A task owns a key-value head: it alone adds to those gradients, heads and queries in order.
    ASHLAR_OMP(for schedule(dynamic))
    for (index_t task = 0; task < s.batch * s.kv_heads; ++task) {
      const index_t b = task / s.kv_heads, kv = task % s.kv_heads;
      std::fill_n(dk.data(), key_rows * dim, A(0));
      std::fill_n(dv.data(), key_rows * dim, A(0));
      for (index_t h = kv * group; h < (kv + 1) * group; ++h)
        for (index_t first = 0; first < s.query_len; first += query_tile) {
          const index_t queries = std::min(query_tile, s.query_len - first), width = round_up(queries, tile_padding<A>);
          const index_t position = s.query_offset + first;
          const auto here = [&](const auto& x) { return head_rows(x, s.query_len, b, first, queries, h, s.head_dim); };
          load_tile(here(query), q.data(), dim);
          load_tile(here(dout), d.data(), dim);
          load_tile(here(out), o.data(), dim);
          load_transposed(here(query), scale, qt.data(), width);
          load_transposed(here(dout), A(1), dt.data(), width);
          // Queries that see no key (lse -inf), and padding, get lse = inf: their probabilities are 0.
          const A* const row_lse = lse.data() + (b * s.heads + h) * s.query_len + first;
          std::fill_n(tile_lse.data(), width, std::numeric_limits<A>::infinity());
          std::fill_n(tile_delta.data(), width, A(0));
          for (index_t i = 0; i < queries; ++i) {
            if (row_lse[i] != -std::numeric_limits<A>::infinity()) tile_lse[i] = row_lse[i];
            const A *const x = d + i * dim, *const y = o + i * dim;
            tile_delta[i] = lane_sum<A>(s.head_dim, [=](index_t c) { return x[c] * y[c]; });
          }
          std::fill_n(dq.data(), width * dim, A(0));
          const KeyRange seen = M::keys(mask, b, position, position + queries, s.key_len);
          for (index_t k0 = seen.begin; k0 < seen.end; k0 += key_tile) {
            const index_t keys = std::min(key_tile, seen.end - k0), rows = round_up(keys, tile_rows);
            load_tile(head_rows(key, s.key_capacity, b, k0, keys, kv, s.head_dim), k.data(), dim);
            load_tile(head_rows(value, s.key_capacity, b, k0, keys, kv, s.head_dim), v.data(), dim);
            tile_product(rows, width, s.head_dim, k.data(), dim, 1, qt.data(), width, scores.data(), width, false);
            tile_product(rows, width, s.head_dim, v.data(), dim, 1, dt.data(), width, dscores.data(), width, false);
            hide<M>(mask, b, position, queries, k0, keys, scores.data(), width);
            score_gradient(keys, width, tile_lse.data(), tile_delta.data(), scores.data(), dscores.data());
            tile_product(rows, dim, queries, scores.data(), width, 1, d.data(), dim, dv + k0 * dim, dim, true);
            tile_product(rows, dim, queries, dscores.data(), width, 1, q.data(), dim, dk + k0 * dim, dim, true);
            tile_product(width, dim, keys, dscores.data(), 1, width, k.data(), dim, dq.data(), dim, true);
          }
          store_tile(dq.data(), scale, dim, here(dquery));
        }
      store_tile(dk.data(), scale, dim, head_rows(dkey, s.key_capacity, b, 0, s.key_len, kv, s.head_dim));
      store_tile(dv.data(), A(1), dim, head_rows(dvalue, s.key_capacity, b, 0, s.key_len, kv, s.head_dim));
    }
  }
}

}  // namespace ashlar::inline v0::ops::cpu
