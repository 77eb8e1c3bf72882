// One call of attention on Cpu with everything that it reads and writes, and the same in plain loops over pairs. Read
// next: tests/ops/attention.cpp.
#pragma once

#include <algorithm>
#include <limits>
#include <vector>

#include "ashlar/ops/attention/attention.hpp"
#include "catch.hpp"
#include "test_tensor.hpp"

namespace ashlar::test {

using ops::AttentionShape;
using ops::Merge;

inline Cpu::Queue& queue() {
  static Cpu::Queue queue;
  return queue;
}

/// Masks of a user's own. Window: the last `width` positions. Sparse: no query of every third position sees any key,
/// and bounds that say nothing.
struct Window {
  struct State {
    index_t width = 0;
  };
  static constexpr bool needs_documents = false;
  static bool visible(const State& s, index_t, index_t q, index_t k) { return k <= q && k > q - s.width; }
  static KeyRange keys(const State& s, index_t, index_t q_begin, index_t q_end, index_t key_len) {
    return {std::max<index_t>(0, q_begin - s.width + 1), std::min(q_end, key_len)};
  }
  static bool all_visible(const State& s, index_t, index_t q_begin, index_t q_end, index_t k_begin, index_t k_end) {
    return k_end <= q_begin + 1 && k_begin > q_end - 1 - s.width;
  }
};
struct Sparse {
  struct State {};
  static constexpr bool needs_documents = false;
  static bool visible(const State&, index_t b, index_t q, index_t k) { return q % 3 != 1 && (q + k + b) % 2 == 0; }
  static KeyRange keys(const State&, index_t, index_t, index_t, index_t key_len) { return {0, key_len}; }
  static bool all_visible(const State&, index_t, index_t, index_t, index_t, index_t) { return false; }
};
static_assert(Mask<Window> && Mask<Sparse>);

inline AttentionShape sizes(index_t batch, index_t query_len, index_t key_len, index_t heads, index_t kv_heads,
                            index_t head_dim, index_t query_begin = 0, index_t spare = 0) {
  return {batch,           query_len, key_len,
          key_len + spare, heads,     kv_heads,
          head_dim,        head_dim,  1 / std::sqrt(double(head_dim)),
          query_begin};
}
inline AttentionShape with_value_dim(AttentionShape s, index_t value_dim) {
  s.value_dim = value_dim;
  return s;
}
inline AttentionShape with_key_begin(AttentionShape s, index_t key_begin) {
  s.key_begin = key_begin;
  return s;
}

/// The tensors of one call. Rows of key and value past key_len hold NaN; the gradients of those rows, a marker.
template <class T>
struct Problem {
  AttentionShape s;
  TestTensor<T> query, key, value, out, dout, dquery, dkey, dvalue;
  TestTensor<Acc<T>> lse, delta;

  explicit Problem(const AttentionShape& shape, index_t gap = 0, double scale = 1)
      : s(shape),
        query(s.query(), gap),
        key(s.key(), 2 * gap),
        value(s.value(), gap),
        out(s.out(), gap),
        dout(s.out(), 3 * gap),
        dquery(s.query(), gap),
        dkey(s.key(), gap),
        dvalue(s.value()),
        lse({s.lse()}),
        delta({s.lse()}) {
    query.randomise(1, scale);
    key.randomise(2);
    value.randomise(3);
    dout.randomise(4);
    for (index_t b = 0; b < s.batch; ++b)
      for (index_t i = b * s.key_capacity + s.key_len; i < (b + 1) * s.key_capacity; ++i)
        for (auto* tensor : {&key, &value})
          for (index_t c = 0; c < tensor->cols(); ++c) tensor->at(i, c) = T(std::numeric_limits<float>::quiet_NaN());
  }
  template <class M>
  void forward(const typename M::State& mask, Merge merge = Merge::replace) {
    ops::attention<M, T, Cpu>(queue(), s, mask, {query, key, value}, {out, lse}, merge);
  }
  template <class M>
  void backward(const typename M::State& mask, bool accumulate = false) {
    ops::attention_delta<T, Cpu>(queue(), s, out, dout, delta.view());
    ops::attention_backward<M, T, Cpu>(queue(), s, mask, {query, key, value}, lse, delta, dout, {dquery, dkey, dvalue},
                                       accumulate);
  }
  bool guards_intact() {
    return query.guards_intact() && key.guards_intact() && value.guards_intact() && out.guards_intact() &&
           dquery.guards_intact() && dkey.guards_intact() && dvalue.guards_intact() && lse.guards_intact() &&
           delta.guards_intact();
  }
};

struct Reference {
  std::vector<double> out, lse, dquery, dkey, dvalue;
};

/// Dense attention and its gradients in double, pair by pair; the gradients of rows past key_len stay NaN.
template <class M, class T>
Reference reference(const Problem<T>& p, const typename M::State& mask) {
  const AttentionShape& s = p.s;
  const auto count = [](const auto& tensor) { return static_cast<std::size_t>(tensor.count()); };
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  Reference r{std::vector<double>(count(p.out)), std::vector<double>(count(p.lse)), std::vector<double>(count(p.query)),
              std::vector<double>(count(p.key), nan), std::vector<double>(count(p.value), nan)};
  const auto index = [](index_t i) { return static_cast<std::size_t>(i); };
  for (index_t b = 0; b < s.batch; ++b)
    for (index_t i = b * s.key_capacity; i < b * s.key_capacity + s.key_len; ++i) {
      std::fill_n(r.dkey.begin() + i * p.key.cols(), p.key.cols(), 0.0);
      std::fill_n(r.dvalue.begin() + i * p.value.cols(), p.value.cols(), 0.0);
    }
  for (index_t b = 0; b < s.batch; ++b)
    for (index_t h = 0; h < s.heads; ++h)
      for (index_t i = 0; i < s.query_len; ++i) {
        // Where the head's rows begin: of query, of out, and of key and value number j.
        const index_t kv = h / (s.heads / s.kv_heads);
        const index_t q = ((b * s.query_len + i) * s.heads + h) * s.head_dim;
        const index_t o = ((b * s.query_len + i) * s.heads + h) * s.value_dim;
        const auto k = [&](index_t j) { return ((b * s.key_capacity + j) * s.kv_heads + kv) * s.head_dim; };
        const auto v = [&](index_t j) { return ((b * s.key_capacity + j) * s.kv_heads + kv) * s.value_dim; };
        std::vector<double> score(index(s.key_len), -std::numeric_limits<double>::infinity()), dp = score;
        double m = -std::numeric_limits<double>::infinity(), sum = 0, delta = 0;
        for (index_t j = 0; j < s.key_len; ++j) {
          if (!M::visible(mask, b, s.query_begin + i, s.key_begin + j)) continue;
          double dot = 0;
          for (index_t c = 0; c < s.head_dim; ++c) dot += double(p.query.at(q + c)) * double(p.key.at(k(j) + c));
          score[index(j)] = dot * s.scale;
          m = std::max(m, score[index(j)]);
        }
        for (double x : score) sum += std::isinf(x) ? 0 : std::exp(x - m);
        r.lse[index((b * s.heads + h) * s.query_len + i)] = m + std::log(sum);
        for (index_t j = 0; j < s.key_len; ++j) {
          if (std::isinf(score[index(j)])) continue;
          const double probability = std::exp(score[index(j)] - m) / sum;
          score[index(j)] = probability;
          dp[index(j)] = 0;
          for (index_t c = 0; c < s.value_dim; ++c) {
            r.out[index(o + c)] += probability * double(p.value.at(v(j) + c));
            dp[index(j)] += double(p.dout.at(o + c)) * double(p.value.at(v(j) + c));
            r.dvalue[index(v(j) + c)] += probability * double(p.dout.at(o + c));
          }
          delta += probability * dp[index(j)];
        }
        for (index_t j = 0; j < s.key_len; ++j) {
          if (std::isinf(dp[index(j)])) continue;
          const double ds = score[index(j)] * (dp[index(j)] - delta) * s.scale;
          for (index_t c = 0; c < s.head_dim; ++c) {
            r.dquery[index(q + c)] += ds * double(p.key.at(k(j) + c));
            r.dkey[index(k(j) + c)] += ds * double(p.query.at(q + c));
          }
        }
      }
  return r;
}

template <class T>
constexpr double tolerated = std::is_same_v<T, double>  ? 1e-11
                             : std::is_same_v<T, float> ? 3e-5
                                                        : 0x1.4p-6;

template <class M, class T>
void check_attention(const AttentionShape& s, const typename M::State& mask, index_t gap = 0, double scale = 1) {
  Problem<T> p(s, gap, scale);
  INFO("batch " << s.batch << " queries " << s.query_len << " keys " << s.key_len << " heads " << s.heads << "/"
                << s.kv_heads << " dims " << s.head_dim << ", " << s.value_dim << " from " << s.query_begin << ", "
                << s.key_begin);
  p.template forward<M>(mask);
  const Reference want = reference<M>(p, mask);
  const double limit = tolerated<T> * std::max(1.0, scale);
  CHECK(max_error(p.out.values(), want.out, 1) < limit);
  CHECK(max_error(p.lse.values(), want.lse, 1) < (std::is_same_v<T, double> ? 1e-13 : 1e-5));
  p.template backward<M>(mask);
  CHECK(max_error(p.dquery.values(), want.dquery, 1) < limit);
  CHECK(max_error(p.dkey.values(), want.dkey, 3) < limit);
  CHECK(max_error(p.dvalue.values(), want.dvalue, 3) < limit);
  CHECK(p.guards_intact());
}

/// document_start of sequences whose documents have these lengths, over and over.
inline TestTensor<std::int32_t> documents(index_t batch, index_t seq_len, const std::vector<std::int32_t>& lengths) {
  TestTensor<std::int32_t> start({batch, seq_len});
  for (index_t b = 0; b < batch; ++b) {
    std::int32_t begin = 0;
    std::size_t which = static_cast<std::size_t>(b);
    for (std::int32_t i = 0; i < seq_len; ++i) {
      if (i >= begin + lengths[which % lengths.size()]) begin = i, ++which;
      start.at(b, i) = begin;
    }
  }
  return start;
}

}  // namespace ashlar::test
