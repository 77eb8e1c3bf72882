// Attention on the host, backward: scores and their gradients are made again tile by tile from lse (Dao et al. 2022).
// Read next: ops/attention/tiles.hpp.
#pragma once

#include <algorithm>
#include <limits>

#include "ashlar/core/loops.hpp"
#include "ashlar/core/math.hpp"
#include "ashlar/ops/attention/tiles.hpp"

namespace ashlar::inline v0::ops::cpu {

/// Writes x [rows, width], times factor, over `target`, or adds it.
template <class T, class A>
void store_tile(const A* x, A factor, index_t width, const HeadRows<T>& target, bool accumulate) {
  for (index_t i = 0; i < target.rows; ++i) {
    const A* const from = x + i * width;
    T* const to = target.data + i * target.stride;
    if (accumulate) {
      ASHLAR_SIMD
      for (index_t c = 0; c < target.dim; ++c) to[c] = T(A(to[c]) + from[c] * factor);
    } else {
      ASHLAR_SIMD
      for (index_t c = 0; c < target.dim; ++c) to[c] = T(from[c] * factor);
    }
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

template <class T>
void attention_delta(const AttentionShape& s, TensorView<const T, Cpu> out, TensorView<const T, Cpu> dout,
                     TensorView<Acc<T>, Cpu> delta) {
  using A = Acc<T>;
  ASHLAR_OMP(parallel for if (worth_a_fork(out.count())))
  for (index_t task = 0; task < s.batch * s.heads; ++task) {
    const index_t b = task / s.heads, h = task % s.heads;
    const auto x = head_rows(dout, s.query_len, b, 0, s.query_len, h, s.value_dim);
    const auto y = head_rows(out, s.query_len, b, 0, s.query_len, h, s.value_dim);
    for (index_t i = 0; i < s.query_len; ++i) {
      const T *const dout_row = x.data + i * x.stride, *const out_row = y.data + i * y.stride;
      delta.data()[task * s.query_len + i] =
          lane_sum<A>(s.value_dim, [=](index_t c) { return A(dout_row[c]) * A(out_row[c]); });
    }
  }
}

template <class M, class T>
void attention_backward(const AttentionShape& s, const typename M::State& mask, const QueryKeyValue<const T, Cpu>& in,
                        TensorView<const Acc<T>, Cpu> lse, TensorView<const Acc<T>, Cpu> delta,
                        TensorView<const T, Cpu> dout, const QueryKeyValue<T, Cpu>& gradients, bool accumulate) {
  using A = Acc<T>;
  const index_t dim = round_up(s.head_dim, lanes<A>), value_dim = round_up(s.value_dim, lanes<A>);
  const index_t max_width = round_up(std::min(s.query_len, query_tile), tile_padding<A>), group = s.heads / s.kv_heads;
  // A mask's range may begin anywhere: its last tile ends up to a register tile past the keys.
  const index_t key_rows = round_up(s.key_len, key_tile) + tile_rows;
  const A scale = static_cast<A>(s.scale);
  ASHLAR_OMP(parallel if (worth_a_fork(s.batch * s.heads * s.query_len * s.key_len))) {
    Scratch<A> q(max_width * dim), qt(max_width * dim), d(max_width * value_dim), dt(max_width * value_dim),
        dq(max_width * dim), k(key_tile * dim), v(key_tile * value_dim), scores(key_tile * max_width),
        dscores(key_tile * max_width), tile_lse(max_width), tile_delta(max_width), dk(key_rows * dim),
        dv(key_rows * value_dim);
    // A task owns a key-value head: it alone adds to those gradients, heads and queries in order.
    ASHLAR_OMP(for schedule(dynamic))
    for (index_t task = 0; task < s.batch * s.kv_heads; ++task) {
      const index_t b = task / s.kv_heads, kv = task % s.kv_heads;
      std::fill_n(dk.data(), key_rows * dim, A(0));
      std::fill_n(dv.data(), key_rows * value_dim, A(0));
      for (index_t h = kv * group; h < (kv + 1) * group; ++h)
        for (index_t first = 0; first < s.query_len; first += query_tile) {
          const index_t queries = std::min(query_tile, s.query_len - first), width = round_up(queries, tile_padding<A>);
          const auto query = head_rows(in.query, s.query_len, b, first, queries, h, s.head_dim);
          const auto gradient = head_rows(dout, s.query_len, b, first, queries, h, s.value_dim);
          load_tile(query, q.data(), dim);
          load_tile(gradient, d.data(), value_dim);
          load_transposed(query, scale, qt.data(), width);
          load_transposed(gradient, A(1), dt.data(), width);
          // Queries that see no key (lse -inf), and padding, get lse = inf: their probabilities are 0.
          const index_t row = (b * s.heads + h) * s.query_len + first;
          std::fill_n(tile_lse.data(), width, std::numeric_limits<A>::infinity());
          std::fill_n(tile_delta.data(), width, A(0));
          for (index_t i = 0; i < queries; ++i) {
            const A sum = lse.data()[row + i];
            if (sum != -std::numeric_limits<A>::infinity()) tile_lse[i] = sum;
            tile_delta[i] = delta.data()[row + i];
          }
          std::fill_n(dq.data(), width * dim, A(0));
          const KeyRange seen = s.keys_of<M>(mask, b, first, queries);
          for (index_t k0 = seen.begin; k0 < seen.end; k0 += key_tile) {
            const index_t keys = std::min(key_tile, seen.end - k0), rows = round_up(keys, tile_rows);
            load_tile(head_rows(in.key, s.key_capacity, b, k0, keys, kv, s.head_dim), k.data(), dim);
            load_tile(head_rows(in.value, s.key_capacity, b, k0, keys, kv, s.value_dim), v.data(), value_dim);
            tile_product(rows, width, s.head_dim, k.data(), dim, 1, qt.data(), width, scores.data(), width, false);
            tile_product(rows, width, s.value_dim, v.data(), value_dim, 1, dt.data(), width, dscores.data(), width,
                         false);
            hide<M>(mask, b, s.query_begin + first, queries, s.key_begin + k0, keys, scores.data(), width);
            score_gradient(keys, width, tile_lse.data(), tile_delta.data(), scores.data(), dscores.data());
            tile_product(rows, value_dim, queries, scores.data(), width, 1, d.data(), value_dim, dv + k0 * value_dim,
                         value_dim, true);
            tile_product(rows, dim, queries, dscores.data(), width, 1, q.data(), dim, dk + k0 * dim, dim, true);
            tile_product(width, dim, keys, dscores.data(), 1, width, k.data(), dim, dq.data(), dim, true);
          }
          store_tile(dq.data(), scale, dim, head_rows(gradients.query, s.query_len, b, first, queries, h, s.head_dim),
                     accumulate);
        }
      store_tile(dk.data(), scale, dim, head_rows(gradients.key, s.key_capacity, b, 0, s.key_len, kv, s.head_dim),
                 accumulate);
      store_tile(dv.data(), A(1), value_dim,
                 head_rows(gradients.value, s.key_capacity, b, 0, s.key_len, kv, s.value_dim), accumulate);
    }
  }
}

}  // namespace ashlar::inline v0::ops::cpu
