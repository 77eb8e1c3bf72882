#include "ashlar/ops/attention/attention.hpp"

#include "catch.hpp"
#include "test_tensor.hpp"

using namespace ashlar;
using ops::AttentionShape;
using test::TestTensor;

namespace {

Cpu::Queue queue;

/// Masks of a user's own. Window: the last `width` positions. Everything: no mask, with bounds that tell the truth.
/// Sparse: no query of every third position sees any key, and bounds that say nothing.
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
struct Everything {
  struct State {};
  static constexpr bool needs_documents = false;
  static bool visible(const State&, index_t, index_t, index_t) { return true; }
  static KeyRange keys(const State&, index_t, index_t, index_t, index_t key_len) { return {0, key_len}; }
  static bool all_visible(const State&, index_t, index_t, index_t, index_t, index_t) { return true; }
};
struct Sparse {
  struct State {};
  static constexpr bool needs_documents = false;
  static bool visible(const State&, index_t b, index_t q, index_t k) { return q % 3 != 1 && (q + k + b) % 2 == 0; }
  static KeyRange keys(const State&, index_t, index_t, index_t, index_t key_len) { return {0, key_len}; }
  static bool all_visible(const State&, index_t, index_t, index_t, index_t, index_t) { return false; }
};
static_assert(Mask<Window> && Mask<Everything> && Mask<Sparse>);

AttentionShape sizes(index_t batch, index_t query_len, index_t key_len, index_t heads, index_t kv_heads,
                     index_t head_dim, index_t query_offset = 0, index_t spare = 0) {
  return {batch,       query_len, key_len, key_len + spare, heads, kv_heads, head_dim, 1 / std::sqrt(double(head_dim)),
          query_offset};
}

/// The tensors of one call. Rows of key and value past key_len hold NaN; the gradients of those rows, a marker.
template <class T>
struct Problem {
  AttentionShape s;
  TestTensor<T> query, key, value, out, dout, dquery, dkey, dvalue;
  TestTensor<Acc<T>> lse, delta;

  explicit Problem(const AttentionShape& shape, index_t gap = 0, double scale = 1)
      : s(shape),
        query({s.batch * s.query_len, s.heads * s.head_dim}, gap),
        key({s.batch * s.key_capacity, s.kv_heads * s.head_dim}, 2 * gap),
        value({s.batch * s.key_capacity, s.kv_heads * s.head_dim}, gap),
        out({s.batch * s.query_len, s.heads * s.head_dim}, gap),
        dout({s.batch * s.query_len, s.heads * s.head_dim}, 3 * gap),
        dquery({s.batch * s.query_len, s.heads * s.head_dim}, gap),
        dkey({s.batch * s.key_capacity, s.kv_heads * s.head_dim}, gap),
        dvalue({s.batch * s.key_capacity, s.kv_heads * s.head_dim}),
        lse({s.batch * s.heads * s.query_len}),
        delta({s.batch * s.heads * s.query_len}) {
    query.randomise(1, scale);
    key.randomise(2);
    value.randomise(3);
    dout.randomise(4);
    for (index_t b = 0; b < s.batch; ++b)
      for (index_t i = b * s.key_capacity + s.key_len; i < (b + 1) * s.key_capacity; ++i)
        for (index_t c = 0; c < key.cols(); ++c)
          key.at(i, c) = value.at(i, c) = T(std::numeric_limits<float>::quiet_NaN());
  }
  template <class M>
  void forward(const typename M::State& mask) {
    ops::attention<M, T, Cpu>(queue, s, mask, query, key, value, out.view(), lse.view());
  }
  template <class M>
  void backward(const typename M::State& mask) {
    ops::attention_backward<M, T, Cpu>(queue, s, mask, query, key, value, out, lse, dout, dquery.view(), dkey.view(),
                                       dvalue.view(), delta.view());
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
  Reference r{std::vector<double>(count(p.out)), std::vector<double>(count(p.lse)), std::vector<double>(count(p.out)),
              std::vector<double>(count(p.key), nan), std::vector<double>(count(p.key), nan)};
  const index_t d = s.head_dim, qcols = s.heads * d, kcols = s.kv_heads * d;
  const auto index = [](index_t i) { return static_cast<std::size_t>(i); };
  for (index_t b = 0; b < s.batch; ++b)
    for (index_t i = b * s.key_capacity * kcols; i < (b * s.key_capacity + s.key_len) * kcols; ++i)
      r.dkey[index(i)] = r.dvalue[index(i)] = 0;
  for (index_t b = 0; b < s.batch; ++b)
    for (index_t h = 0; h < s.heads; ++h)
      for (index_t i = 0; i < s.query_len; ++i) {
        const index_t q = (b * s.query_len + i) * qcols + h * d, kv = h / (s.heads / s.kv_heads) * d;
        const auto k = [&](index_t j) { return (b * s.key_capacity + j) * kcols + kv; };
        std::vector<double> score(index(s.key_len), -std::numeric_limits<double>::infinity()), dp = score;
        double m = -std::numeric_limits<double>::infinity(), sum = 0, delta = 0;
        for (index_t j = 0; j < s.key_len; ++j) {
          if (!M::visible(mask, b, s.query_offset + i, j)) continue;
          double dot = 0;
          for (index_t c = 0; c < d; ++c) dot += double(p.query.at(q + c)) * double(p.key.at(k(j) + c));
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
          for (index_t c = 0; c < d; ++c) {
            r.out[index(q + c)] += probability * double(p.value.at(k(j) + c));
            dp[index(j)] += double(p.dout.at(q + c)) * double(p.value.at(k(j) + c));
            r.dvalue[index(k(j) + c)] += probability * double(p.dout.at(q + c));
          }
          delta += probability * dp[index(j)];
        }
        for (index_t j = 0; j < s.key_len; ++j) {
          if (std::isinf(dp[index(j)])) continue;
          const double ds = score[index(j)] * (dp[index(j)] - delta) * s.scale;
          for (index_t c = 0; c < d; ++c) {
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
                << s.kv_heads << " dim " << s.head_dim << " offset " << s.query_offset);
  p.template forward<M>(mask);
  const Reference want = reference<M>(p, mask);
  const double limit = tolerated<T> * std::max(1.0, scale);
  CHECK(test::max_error(p.out.values(), want.out, 1) < limit);
  CHECK(test::max_error(p.lse.values(), want.lse, 1) < (std::is_same_v<T, double> ? 1e-13 : 1e-5));
  p.template backward<M>(mask);
  CHECK(test::max_error(p.dquery.values(), want.dquery, 1) < limit);
  CHECK(test::max_error(p.dkey.values(), want.dkey, 3) < limit);
  CHECK(test::max_error(p.dvalue.values(), want.dvalue, 3) < limit);
  CHECK(p.guards_intact());
}

/// document_start of sequences whose documents have these lengths, over and over.
TestTensor<std::int32_t> documents(index_t batch, index_t seq_len, const std::vector<std::int32_t>& lengths) {
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

}  // namespace

TEMPLATE_TEST_CASE("attention and its gradients equal dense attention: causal", "[attention]", double, float, bf16) {
  using T = TestType;
  check_attention<Causal, T>(sizes(1, 1, 1, 1, 1, 16), {});
  check_attention<Causal, T>(sizes(2, 65, 65, 2, 2, 16), {}, 1);
  check_attention<Causal, T>(sizes(2, 130, 130, 4, 2, 16), {});   // grouped heads
  check_attention<Causal, T>(sizes(1, 97, 97, 3, 1, 20), {}, 4);  // one key-value head, padded head dimension
  check_attention<Causal, T>(sizes(1, 64, 64, 2, 1, 64), {});
  check_attention<Causal, T>(sizes(1, 40, 40, 1, 1, 128), {});
  check_attention<Causal, T>(sizes(1, 33, 33, 1, 1, 3), {});
  check_attention<Causal, T>(sizes(2, 9, 70, 4, 2, 16, 61, 5), {});  // a cache with room: the last 9 of 70 positions
  check_attention<Causal, T>(sizes(2, 1, 100, 4, 2, 16, 99, 28), {});
}

TEMPLATE_TEST_CASE("attention and its gradients equal dense attention: documents and users' masks", "[attention]",
                   double, float, bf16) {
  using T = TestType;
  TestTensor<std::int32_t> start = documents(3, 150, {1, 40, 3, 70, 64});
  check_attention<BlockCausal, T>(sizes(3, 150, 150, 2, 1, 16), {start.view().data(), 150});
  check_attention<Window, T>(sizes(1, 200, 200, 2, 2, 16), {7});
  check_attention<Window, T>(sizes(1, 128, 128, 1, 1, 16), {3});  // tiles that begin anywhere, to the last key
  check_attention<Window, T>(sizes(1, 200, 200, 2, 1, 16), {100}, 2);
  check_attention<Window, T>(sizes(1, 50, 150, 1, 1, 24, 100), {64});
  check_attention<Everything, T>(sizes(2, 30, 77, 2, 1, 16), {});
  check_attention<Everything, T>(sizes(1, 77, 30, 2, 1, 16, 0, 2), {});
  check_attention<Sparse, T>(sizes(2, 70, 66, 2, 1, 16), {});
}

TEST_CASE("attention's gradients are its derivatives", "[attention]") {
  TestTensor<std::int32_t> start = documents(1, 70, {66, 2});
  const BlockCausal::State mask{start.view().data(), 70};
  Problem<double> p(sizes(1, 70, 70, 2, 1, 3));
  const auto loss = [&] {
    p.forward<BlockCausal>(mask);
    return test::inner(p.out, p.dout);
  };
  loss();
  p.backward<BlockCausal>(mask);
  CHECK(test::max_error(p.dquery.values(), test::finite_differences(p.query, loss)) < 1e-7);
  CHECK(test::max_error(p.dkey.values(), test::finite_differences(p.key, loss)) < 1e-7);
  CHECK(test::max_error(p.dvalue.values(), test::finite_differences(p.value, loss)) < 1e-7);
}

TEMPLATE_TEST_CASE("attention: a query that sees no key gives 0, -inf and no gradient", "[attention]", double, float,
                   bf16) {
  using T = TestType;
  Problem<T> p(sizes(1, 67, 67, 2, 1, 16));
  p.template forward<Sparse>({});
  p.template backward<Sparse>({});
  for (index_t i = 1; i < 67; i += 3)
    for (index_t c = 0; c < 32; ++c) {
      REQUIRE(double(p.out.at(i, c)) == 0);
      REQUIRE(double(p.dquery.at(i, c)) == 0);
      REQUIRE(p.lse.at(c / 16 * 67 + i) == -std::numeric_limits<Acc<T>>::infinity());
    }
  // No keys at all.
  Problem<T> none(sizes(2, 3, 0, 2, 1, 16, 0, 4));
  none.template forward<Causal>({});
  none.template backward<Causal>({});
  CHECK(none.out.values() == std::vector<double>(2 * 3 * 32, 0.0));
  CHECK(none.dquery.values() == std::vector<double>(2 * 3 * 32, 0.0));
  CHECK(none.guards_intact());
}

TEST_CASE("attention of no queries writes zero gradients of keys", "[attention]") {
  Problem<float> p(sizes(1, 0, 5, 2, 1, 16));
  p.forward<Causal>({});
  p.backward<Causal>({});
  CHECK(p.dkey.values() == std::vector<double>(5 * 16, 0.0));
  CHECK(p.dvalue.values() == std::vector<double>(5 * 16, 0.0));
  Problem<float> empty(sizes(0, 4, 4, 2, 1, 16));
  empty.forward<Causal>({});
  empty.backward<Causal>({});
}

TEMPLATE_TEST_CASE("attention of large and of equal scores stays finite", "[attention]", double, float) {
  using T = TestType;
  check_attention<Causal, T>(sizes(1, 90, 90, 2, 1, 16), {}, 0, 1000);
  Problem<T> p(sizes(1, 80, 80, 1, 1, 16));
  p.query.fill(30);
  p.key.fill(30);
  p.template forward<Causal>({});
  for (index_t i = 0; i < 80; ++i) CHECK(p.lse.at(i) == Approx(900.0 * 16 / 4 + std::log(double(i + 1))));
}

TEMPLATE_TEST_CASE("attention with a cache equals the end of the whole run, and documents their own runs",
                   "[attention]", double, float) {
  using T = TestType;
  const index_t all = 140, last = 76;
  Problem<T> whole(sizes(1, all, all, 2, 1, 16)), part(sizes(1, last, all, 2, 1, 16, all - last, 3));
  for (index_t i = 0; i < all * 16; ++i) part.key.at(i) = whole.key.at(i), part.value.at(i) = whole.value.at(i);
  for (index_t i = 0; i < last * 32; ++i) part.query.at(i) = whole.query.at((all - last) * 32 + i);
  whole.template forward<Causal>({});
  part.template forward<Causal>({});
  double worst = 0;
  for (index_t i = 0; i < last * 32; ++i)
    worst = std::max<double>(worst, std::abs(part.out.at(i) - whole.out.at((all - last) * 32 + i)));
  CHECK(worst < (std::is_same_v<T, double> ? 1e-14 : 2e-6));

  // One document is plain causal attention, bit for bit.
  TestTensor<std::int32_t> start({1, all});
  start.fill(0);
  Problem<T> one(sizes(1, all, all, 2, 1, 16));
  one.template forward<BlockCausal>({start.view().data(), all});
  CHECK(one.out.same_bits(whole.out));
  CHECK(one.lse.same_bits(whole.lse));
}

TEST_CASE("attention and its gradients have the same bits every time", "[attention]") {
  Problem<float> first(sizes(2, 200, 200, 4, 2, 16)), second = first;
  first.forward<Causal>({});
  first.backward<Causal>({});
  second.forward<Causal>({});
  second.backward<Causal>({});
  CHECK(first.out.same_bits(second.out));
  CHECK(first.lse.same_bits(second.lse));
  CHECK(first.dquery.same_bits(second.dquery));
  CHECK(first.dkey.same_bits(second.dkey));
  CHECK(first.dvalue.same_bits(second.dvalue));
}

TEST_CASE("attention passes NaN on to the queries that see it", "[attention]") {
  Problem<float> p(sizes(1, 100, 100, 1, 1, 16));
  p.key.at(50, 3) = std::numeric_limits<float>::quiet_NaN();
  p.forward<Causal>({});
  for (index_t i = 0; i < 100; ++i) CHECK(std::isnan(p.out.at(i, 0)) == (i >= 50));
}

TEST_CASE("attention rejects shapes that don't match", "[attention]") {
  Problem<float> p(sizes(1, 4, 4, 2, 1, 16));
  p.s.kv_heads = 2;
  CHECK_THROWS_AS(p.forward<Causal>({}), Error);
  p.s.kv_heads = 0;
  CHECK_THROWS_AS(p.forward<Causal>({}), Error);
}
