#include "attention_problem.hpp"

#include <array>
#include <utility>

using namespace ashlar;
using namespace ashlar::test;

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
  check_attention<Bidirectional, T>(sizes(2, 30, 77, 2, 1, 16), {});
  check_attention<Bidirectional, T>(sizes(1, 77, 30, 2, 1, 16, 0, 2), {});
  check_attention<Sparse, T>(sizes(2, 70, 66, 2, 1, 16), {});
}

TEMPLATE_TEST_CASE("attention and its gradients equal dense attention: local masks", "[attention]", double, float,
                   bf16) {
  using T = TestType;
  TestTensor<std::int32_t> start = documents(2, 150, {1, 40, 3, 70, 64});
  const BlockCausal::State of_documents{start.view().data(), 150};
  for (const index_t chunk : {1, 16, 33, 64, 500}) {
    check_attention<Chunked<Causal>, T>(sizes(1, 150, 150, 2, 1, 16), {{}, chunk});
    check_attention<Chunked<BlockCausal>, T>(sizes(2, 150, 150, 2, 1, 16), {of_documents, chunk}, 1);
  }
  check_attention<Chunked<Causal>, T>(sizes(2, 9, 70, 4, 2, 16, 61, 5), {{}, 32});  // a cache with room
  check_attention<Chunked<Bidirectional>, T>(sizes(1, 100, 80, 2, 1, 16), {{}, 30});
  for (const index_t window : {1, 3, 64, 500}) {
    check_attention<SlidingWindow<Causal>, T>(sizes(1, 150, 150, 2, 1, 16), {{}, window});
    check_attention<SlidingWindow<BlockCausal>, T>(sizes(2, 150, 150, 2, 1, 16), {of_documents, window});
  }
}

TEMPLATE_TEST_CASE("attention and its gradients equal dense attention: values of another dimension", "[attention]",
                   double, float, bf16) {
  using T = TestType;
  check_attention<Causal, T>(with_value_dim(sizes(1, 70, 70, 2, 2, 192), 128), {});  // DeepSeek-V3's
  check_attention<Causal, T>(with_value_dim(sizes(2, 66, 66, 4, 2, 6), 4), {}, 3);
  check_attention<Causal, T>(with_value_dim(sizes(2, 66, 66, 2, 1, 3), 17), {}, 1);
  check_attention<Bidirectional, T>(with_value_dim(sizes(1, 5, 70, 2, 1, 33), 1), {});
  TestTensor<std::int32_t> start = documents(2, 80, {5, 40});
  check_attention<BlockCausal, T>(with_value_dim(sizes(2, 80, 80, 2, 1, 24), 16), {start.view().data(), 80});
}

TEMPLATE_TEST_CASE("attention and its gradients equal dense attention: keys that begin anywhere", "[attention]", double,
                   float, bf16) {
  using T = TestType;
  const auto from = [](index_t query_begin, index_t key_begin) {
    return with_key_begin(sizes(2, 70, 66, 2, 1, 16, query_begin, 3), key_begin);
  };
  TestTensor<std::int32_t> start = documents(2, 300, {100, 3, 90});
  const BlockCausal::State of_documents{start.view().data(), 300};
  for (const auto& [query, key] : {std::pair{100, 0}, {100, 40}, {100, 100}, {100, 130}, {100, 169}, {100, 170}}) {
    check_attention<Causal, T>(from(query, key), {});
    check_attention<BlockCausal, T>(from(query, key), of_documents);
    check_attention<Chunked<Causal>, T>(from(query, key), {{}, 64});
    check_attention<SlidingWindow<Causal>, T>(from(query, key), {{}, 50});
    check_attention<Bidirectional, T>(from(query, key), {});
  }
}

TEST_CASE("attention of equal scores is the mean of the values that a query sees", "[attention]") {
  // Value number j is (j, 1, 0): what a query gives is the mean of the positions that it sees, and their number is
  // exp(lse).
  Problem<double> p(with_value_dim(with_key_begin(sizes(1, 4, 6, 1, 1, 2, 10), 6), 3));  // queries 10..13, keys 6..11
  p.query.fill(0);
  for (index_t j = 0; j < 6; ++j)
    for (index_t c = 0; c < 3; ++c) p.value.at(j, c) = std::array{double(j + 6), 1.0, 0.0}[static_cast<std::size_t>(c)];
  const auto check = [&]<class M>(M, const typename M::State& mask, const std::vector<double>& mean,
                                  const std::vector<double>& count) {
    p.out.poison();
    p.lse.poison();
    p.template forward<M>(mask);
    for (index_t i = 0; i < 4; ++i) {
      const auto n = static_cast<std::size_t>(i);
      CHECK(p.out.at(i, 0) == Approx(mean[n]));
      CHECK(p.out.at(i, 1) == Approx(count[n] > 0 ? 1 : 0));
      CHECK(p.out.at(i, 2) == 0);
      CHECK(std::exp(p.lse.at(i)) == Approx(count[n]));
    }
  };
  check(Causal{}, {}, {8, 8.5, 8.5, 8.5}, {5, 6, 6, 6});
  check(Bidirectional{}, {}, {8.5, 8.5, 8.5, 8.5}, {6, 6, 6, 6});
  check(Chunked<Causal>{}, {{}, 4}, {9, 9.5, 0, 0}, {3, 4, 0, 0});           // chunks 8..11 and 12..15
  check(SlidingWindow<Causal>{}, {{}, 3}, {9, 10, 10.5, 11}, {3, 3, 2, 1});  // itself and two before
  TestTensor<std::int32_t> start({1, 14}, {0, 0, 0, 0, 0, 0, 0, 7, 7, 7, 7, 7, 12, 12});
  check(BlockCausal{}, {start.view().data(), 14}, {8.5, 9, 0, 0}, {4, 5, 0, 0});
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
