// Attention on the host, forward: online softmax over tiles of keys (Milakov and Gimelshein 2018, arXiv:1805.02867).
// Scores are kept transposed, [keys, queries]: then maxima and sums over keys run along vectors of queries, and keys
// and values are read as they lie. Read next: ops/attention/cpu_backward.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "ashlar/core/loops.hpp"
#include "ashlar/core/math.hpp"
#include "ashlar/ops/attention/cpu_backward.hpp"
#include "ashlar/ops/attention/tiles.hpp"

namespace ashlar::inline v0::ops::cpu {

/// The working memory of one thread and the running softmax of one tile of queries.
template <class A>
struct OnlineSoftmax {
  index_t width, dim;  // the padded number of queries of the tile, the padded dimension of values
  Scratch<A> maximum, sum, rescale, tile_sum, out;

  OnlineSoftmax(index_t max_queries, index_t padded_dim)
      : width(max_queries),
        dim(padded_dim),
        maximum(max_queries),
        sum(max_queries),
        rescale(max_queries),
        tile_sum(max_queries),
        out(max_queries * padded_dim) {}

  void start(index_t queries) {
    width = queries;
    std::fill_n(maximum.data(), width, -std::numeric_limits<A>::infinity());
    std::fill_n(sum.data(), width, A(0));
    std::fill_n(out.data(), width * dim, A(0));
  }
  /// Begins with the result over other keys: that of a softmax which has seen them. Rows of -inf have seen none.
  template <class T>
  void resume(const A* lse, const HeadRows<T>& result) {
    for (index_t i = 0; i < result.rows; ++i) {
      if (lse[i] == -std::numeric_limits<A>::infinity()) continue;
      maximum[i] = lse[i];
      sum[i] = 1;
      for (index_t c = 0; c < result.dim; ++c) out[i * dim + c] = A(result.data[i * result.stride + c]);
    }
  }

  /// Turns scores [keys, width] into exponentials and adds them, and their products with value [keys, dim].
  void add(A* scores, index_t keys, const A* value) {
    A* const m = maximum;
    A* const factor = rescale;
    A* const part = tile_sum;
    A* const total = sum;
    std::copy_n(m, width, factor);
    for (index_t k = 0; k < keys; ++k) {
      const A* const row = scores + k * width;
      ASHLAR_SIMD
      for (index_t q = 0; q < width; ++q) m[q] = row[q] > m[q] ? row[q] : m[q];
    }
    // A query that has seen no key yet has m = -inf: it is shifted by 0, so that its exponentials are 0 and not NaN.
    constexpr A none = -std::numeric_limits<A>::infinity();
    for (index_t q = 0; q < width; ++q) {
      factor[q] = fast_exp(factor[q] - (m[q] == none ? A(0) : m[q]));
      part[q] = 0;
    }
    for (index_t k = 0; k < keys; ++k) {
      A* const row = scores + k * width;
      ASHLAR_SIMD
      for (index_t q = 0; q < width; ++q) {
        row[q] = fast_exp(row[q] - (m[q] == none ? A(0) : m[q]));
        part[q] += row[q];
      }
    }
    for (index_t q = 0; q < width; ++q) {
      total[q] = total[q] * factor[q] + part[q];
      if (factor[q] != 1) {
        A* const row = out + q * dim;
        for (index_t c = 0; c < dim; ++c) row[c] *= factor[q];
      }
    }
    tile_product(width, dim, keys, scores, 1, width, value, dim, out.data(), dim, true);
  }
};

template <class M, class T>
void attention(const AttentionShape& s, const typename M::State& mask, const QueryKeyValue<const T, Cpu>& in,
               const AttentionOut<T, Cpu>& result, Merge merge) {
  using A = Acc<T>;
  const index_t dim = round_up(s.head_dim, lanes<A>), value_dim = round_up(s.value_dim, lanes<A>);
  const index_t tiles = ceil_div(s.query_len, query_tile), tasks = s.batch * s.heads * tiles;
  const index_t max_width = round_up(std::min(s.query_len, query_tile), tile_padding<A>), group = s.heads / s.kv_heads;
  ASHLAR_OMP(parallel if (worth_a_fork(s.batch * s.heads * s.query_len * s.key_len))) {
    Scratch<A> q(s.head_dim * max_width), k(key_tile * dim), v(key_tile * value_dim), scores(key_tile * max_width);
    OnlineSoftmax<A> softmax(max_width, value_dim);
    ASHLAR_OMP(for schedule(dynamic))
    for (index_t task = 0; task < tasks; ++task) {
      const index_t b = task / (s.heads * tiles), h = task / tiles % s.heads, first = task % tiles * query_tile;
      const index_t queries = std::min(query_tile, s.query_len - first), width = round_up(queries, tile_padding<A>);
      const auto target = head_rows(result.out, s.query_len, b, first, queries, h, s.value_dim);
      A* const lse = result.lse.data() + (b * s.heads + h) * s.query_len + first;
      load_transposed(head_rows(in.query, s.query_len, b, first, queries, h, s.head_dim), static_cast<A>(s.scale),
                      q.data(), width);
      softmax.start(width);
      if (merge == Merge::by_lse) softmax.resume(lse, target);
      const KeyRange seen = s.keys_of<M>(mask, b, first, queries);
      for (index_t k0 = seen.begin; k0 < seen.end; k0 += key_tile) {
        const index_t keys = std::min(key_tile, seen.end - k0);
        load_tile(head_rows(in.key, s.key_capacity, b, k0, keys, h / group, s.head_dim), k.data(), dim);
        load_tile(head_rows(in.value, s.key_capacity, b, k0, keys, h / group, s.value_dim), v.data(), value_dim);
        tile_product(round_up(keys, tile_rows), width, s.head_dim, k.data(), dim, 1, q.data(), width, scores.data(),
                     width, false);
        hide<M>(mask, b, s.query_begin + first, queries, s.key_begin + k0, keys, scores.data(), width);
        softmax.add(scores, keys, v);
      }
      for (index_t i = 0; i < queries; ++i) {
        const A sum = softmax.sum[i], factor = sum == 0 ? A(0) : A(1) / sum;
        lse[i] = softmax.maximum[i] + std::log(sum);
        for (index_t c = 0; c < s.value_dim; ++c)
          target.data[i * target.stride + c] = T(softmax.out[i * value_dim + c] * factor);
      }
    }
  }
}

}  // namespace ashlar::inline v0::ops::cpu
