// Attention over blocks of keys, one call a block: what ranks of context parallelism do with the keys that reach them.
#include <array>
#include <utility>

#include "attention_problem.hpp"

using namespace ashlar;
using namespace ashlar::test;

namespace {

/// Rows [begin, begin + n) of each sequence, and back.
template <class T>
TestTensor<T> rows_of_sequences(const TestTensor<T>& x, index_t batch, index_t begin, index_t n) {
  TestTensor<T> out({batch * n, x.cols()}, 2);
  const index_t len = batch ? x.rows() / batch : 0;
  for (index_t b = 0; b < batch; ++b)
    for (index_t i = 0; i < n; ++i)
      for (index_t c = 0; c < x.cols(); ++c) out.at(b * n + i, c) = x.at(b * len + begin + i, c);
  return out;
}
template <class T>
void put_rows(const TestTensor<T>& from, index_t batch, index_t begin, index_t n, TestTensor<T>& to) {
  const index_t len = batch ? to.rows() / batch : 0;
  for (index_t b = 0; b < batch; ++b)
    for (index_t i = 0; i < n; ++i)
      for (index_t c = 0; c < to.cols(); ++c) to.at(b * len + begin + i, c) = from.at(b * n + i, c);
}
/// A block of positions: [begin, end).
using Block = std::pair<index_t, index_t>;

/// The whole problem as a ring makes it: for each block of queries, a call a block of keys, in an order of its own,
/// forward and backward. Gradients of a block of keys go along with it, from one block of queries to the next.
template <class M, class T>
void run_ring(Problem<T>& p, const typename M::State& mask, const std::vector<Block>& queries,
              const std::vector<Block>& keys, bool starts_empty) {
  const AttentionShape& s = p.s;
  struct Gradients {
    TestTensor<T> dkey, dvalue;
  };
  std::vector<Gradients> of_keys;
  for (const auto& [begin, end] : keys)
    of_keys.push_back({TestTensor<T>({s.batch * (end - begin), s.kv_heads * s.head_dim}),
                       TestTensor<T>({s.batch * (end - begin), s.kv_heads * s.value_dim})});
  for (std::size_t r = 0; r < queries.size(); ++r) {
    const auto [first, last] = queries[r];
    AttentionShape part = s;
    part.query_len = last - first;
    part.query_begin = s.query_begin + first;
    auto query = rows_of_sequences(p.query, s.batch, first, part.query_len);
    auto dout = rows_of_sequences(p.dout, s.batch, first, part.query_len);
    TestTensor<T> out(part.out(), 1), dquery(part.query());
    TestTensor<Acc<T>> lse({part.lse()}), delta({part.lse()});
    if (starts_empty) lse.fill(-std::numeric_limits<Acc<T>>::infinity());  // out is poison: it must not be read
    // Rank r begins with block r of the keys.
    const auto each_block = [&](auto body) {
      for (std::size_t j = 0; j < keys.size(); ++j) {
        const std::size_t block = (r + j) % keys.size();
        const auto [begin, end] = keys[block];
        AttentionShape call = part;
        call.key_len = call.key_capacity = end - begin;
        call.key_begin = s.key_begin + begin;
        auto key = rows_of_sequences(p.key, s.batch, begin, call.key_len);
        auto value = rows_of_sequences(p.value, s.batch, begin, call.key_len);
        body(call, ops::QueryKeyValue<const T, Cpu>{query.view(), key.view(), value.view()}, block, j == 0);
      }
    };
    each_block([&](const AttentionShape& call, const auto& in, std::size_t, bool is_first) {
      ops::attention<M, T, Cpu>(queue(), call, mask, in, {out, lse},
                                is_first && !starts_empty ? Merge::replace : Merge::by_lse);
    });
    ops::attention_delta<T, Cpu>(queue(), part, out, dout, delta.view());
    each_block([&](const AttentionShape& call, const auto& in, std::size_t block, bool is_first) {
      auto& [dkey, dvalue] = of_keys[block];
      if (is_first) dquery.fill(T(0.0f));
      if (r == 0) dkey.fill(T(0.0f)), dvalue.fill(T(0.0f));
      ops::attention_backward<M, T, Cpu>(queue(), call, mask, in, lse, delta, dout, {dquery, dkey, dvalue}, true);
    });
    CHECK((out.guards_intact() && dquery.guards_intact() && lse.guards_intact()));
    put_rows(out, s.batch, first, part.query_len, p.out);
    put_rows(dquery, s.batch, first, part.query_len, p.dquery);
    for (index_t g = 0; g < s.batch * s.heads; ++g)
      for (index_t i = 0; i < part.query_len; ++i)
        p.lse.at(g * s.query_len + first + i) = lse.at(g * part.query_len + i);
  }
  for (std::size_t j = 0; j < keys.size(); ++j) {
    put_rows(of_keys[j].dkey, s.batch, keys[j].first, keys[j].second - keys[j].first, p.dkey);
    put_rows(of_keys[j].dvalue, s.batch, keys[j].first, keys[j].second - keys[j].first, p.dvalue);
  }
}

/// The ring equals dense attention in plain loops, and one call.
template <class M, class T>
void check_ring(const AttentionShape& s, const typename M::State& mask, const std::vector<Block>& queries,
                const std::vector<Block>& keys) {
  Problem<T> whole(s);
  whole.template forward<M>(mask);
  whole.template backward<M>(mask);
  const Reference want = reference<M>(whole, mask);
  for (const bool starts_empty : {false, true}) {
    INFO("queries " << s.query_len << " in " << queries.size() << ", keys " << s.key_len << " in " << keys.size());
    Problem<T> ring(s);
    run_ring<M>(ring, mask, queries, keys, starts_empty);
    // In bf16 out and the gradients are rounded at every block.
    const double limit = tolerated<T> * (std::is_same_v<T, bf16> ? static_cast<double>(keys.size()) : 1);
    CHECK(max_error(ring.lse.values(), want.lse, 1) < (std::is_same_v<T, double> ? 1e-13 : 1e-5));
    CHECK(max_error(ring.out.values(), want.out, 1) < limit);
    CHECK(max_error(ring.dquery.values(), want.dquery, 1) < limit);
    CHECK(max_error(ring.dkey.values(), want.dkey, 3) < limit);
    CHECK(max_error(ring.dvalue.values(), want.dvalue, 3) < limit);
    CHECK(max_error(ring.out.values(), whole.out.values(), 1) < limit);
    CHECK(max_error(ring.dkey.values(), whole.dkey.values(), 3) < limit);
  }
}

}  // namespace

TEMPLATE_TEST_CASE("a ring of blocks of keys is attention to all of them", "[attention]", double, float, bf16) {
  using T = TestType;
  const std::vector<Block> quarters{{0, 40}, {40, 80}, {80, 120}, {120, 160}};
  const std::vector<Block> ragged{{0, 1}, {1, 68}, {68, 68}, {68, 133}, {133, 160}};
  TestTensor<std::int32_t> start = documents(2, 200, {1, 40, 3, 70, 64});
  const BlockCausal::State of_documents{start.view().data(), 200};
  for (const auto& keys : {quarters, ragged}) {
    check_ring<Causal, T>(sizes(2, 160, 160, 2, 1, 16), {}, quarters, keys);
    check_ring<BlockCausal, T>(sizes(2, 160, 160, 2, 1, 16), of_documents, quarters, keys);
    check_ring<Chunked<BlockCausal>, T>(sizes(2, 160, 160, 2, 1, 16), {of_documents, 50}, quarters, keys);
    check_ring<SlidingWindow<Causal>, T>(sizes(1, 160, 160, 2, 1, 16), {{}, 30}, ragged, keys);
    check_ring<Bidirectional, T>(sizes(1, 160, 160, 2, 2, 16), {}, quarters, keys);
    check_ring<Sparse, T>(sizes(1, 160, 160, 2, 2, 16), {}, quarters, keys);  // queries that never see a key
    check_ring<Causal, T>(with_value_dim(sizes(1, 160, 160, 2, 2, 24), 16), {}, quarters, keys);
    check_ring<Causal, T>(with_key_begin(sizes(1, 160, 160, 2, 1, 16, 40), 20), {}, ragged, keys);
  }
}

TEMPLATE_TEST_CASE("two chunks a rank, from both ends of a sequence: each chunk is a block of queries", "[attention]",
                   double, float) {
  // What balances a causal mask over ranks: rank r of 2 has chunks r and 3 - r.
  const std::vector<Block> chunks{{0, 20}, {60, 80}, {20, 40}, {40, 60}};
  check_ring<Causal, TestType>(sizes(2, 80, 80, 2, 1, 16), {}, chunks, chunks);
}

TEMPLATE_TEST_CASE("blocks of keys that nobody sees change no bit", "[attention]", double, float, bf16) {
  using T = TestType;
  Problem<T> p(with_key_begin(sizes(2, 70, 66, 2, 1, 16, 100), 60));
  p.template forward<Causal>({});
  p.template backward<Causal>({});
  const Problem<T> before = p;
  p.s.key_begin = 200;
  p.template forward<Causal>({}, Merge::by_lse);
  p.template backward<Causal>({}, true);
  CHECK((p.out.same_bits(before.out) && p.lse.same_bits(before.lse)));
  CHECK((p.dquery.same_bits(before.dquery) && p.dkey.same_bits(before.dkey) && p.dvalue.same_bits(before.dvalue)));
  // Whatever was in out and the gradients before, a call that replaces gives zeros.
  p.template forward<Causal>({}, Merge::replace);
  p.template backward<Causal>({}, false);
  CHECK(p.out.values() == std::vector<double>(2 * 70 * 32, 0.0));
  CHECK(p.dquery.values() == std::vector<double>(2 * 70 * 32, 0.0));
}

TEST_CASE("merging the same keys twice leaves out and doubles the sum of exponentials", "[attention]") {
  Problem<double> p(sizes(1, 70, 70, 2, 1, 16));
  p.forward<Causal>({});
  const Problem<double> once = p;
  p.forward<Causal>({}, Merge::by_lse);
  CHECK(max_error(p.out.values(), once.out.values(), 1) < 1e-14);
  for (index_t i = 0; i < p.lse.count(); ++i) CHECK(p.lse.at(i) == Approx(once.lse.at(i) + std::log(2.0)));
}

TEST_CASE("merging large scores stays finite, and NaN is passed on", "[attention]") {
  // Scores of the second block are larger by 3e4: the first one's weight is exactly 0.
  Problem<float> p(sizes(1, 4, 1, 1, 1, 1));
  p.s.scale = 1;
  p.query.fill(1);
  p.key.fill(-1e4f);
  p.value.fill(5);
  p.forward<Bidirectional>({});
  p.key.fill(2e4f);
  p.value.fill(7);
  p.forward<Bidirectional>({}, Merge::by_lse);
  CHECK(p.out.values() == std::vector<double>(4, 7.0));
  CHECK(p.lse.values() == std::vector<double>(4, 2e4));
  p.key.fill(-1e4f);
  p.forward<Bidirectional>({}, Merge::by_lse);
  CHECK(p.lse.values() == std::vector<double>(4, 2e4));
  p.lse.at(2) = std::numeric_limits<float>::quiet_NaN();
  p.forward<Bidirectional>({}, Merge::by_lse);
  CHECK((std::isnan(p.out.at(2)) && std::isnan(p.lse.at(2)) && !std::isnan(p.out.at(1))));
}

TEST_CASE("gradients of a ring are its derivatives", "[attention]") {
  // Of out over two blocks of keys, where values are shorter than heads.
  const AttentionShape s = with_value_dim(sizes(1, 12, 12, 2, 1, 3), 2);
  Problem<double> p(s);
  const std::vector<Block> queries{{0, 5}, {5, 12}}, keys{{0, 7}, {7, 12}};
  const auto loss = [&] {
    run_ring<Causal>(p, {}, queries, keys, false);
    return inner(p.out, p.dout);
  };
  loss();
  const Problem<double> got = p;
  CHECK(max_error(got.dquery.values(), finite_differences(p.query, loss)) < 1e-7);
  CHECK(max_error(got.dkey.values(), finite_differences(p.key, loss)) < 1e-7);
  CHECK(max_error(got.dvalue.values(), finite_differences(p.value, loss)) < 1e-7);
}
