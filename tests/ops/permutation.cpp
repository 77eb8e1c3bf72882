#include "ashlar/ops/permutation/permutation.hpp"

#include "catch.hpp"
#include "test_tensor.hpp"

using namespace ashlar;
using test::TestTensor;
using Ints = TestTensor<std::int32_t>;

namespace {

Cpu::Queue queue;

struct Sorted {
  Ints position, source, offsets;

  Sorted(index_t slots, index_t experts) : position({slots}), source({slots}), offsets({experts + 1}) {}
  bool guards_intact() { return position.guards_intact() && source.guards_intact() && offsets.guards_intact(); }
};

Sorted sort_by_expert(Ints& ids, index_t experts) {
  Sorted out(ids.count(), experts);
  ops::sort_by_expert<Cpu>(queue, ids, out.position, out.source, out.offsets, {});
  CHECK(out.guards_intact());
  return out;
}

Sorted sort_received(Ints& counts, index_t rows) {
  Sorted out(rows, counts.cols());
  ops::sort_received<Cpu>(queue, counts, out.position, out.source, out.offsets);
  CHECK(out.guards_intact());
  return out;
}

/// Ids in [0, experts); every ninth is invalid when `holes`.
Ints random_ids(index_t tokens, index_t k, index_t experts, bool holes) {
  Ints ids({tokens, k});
  const RandomStream stream(5, 5);
  for (index_t i = 0; i < ids.count(); ++i) {
    const auto draw =
        static_cast<std::int32_t>(stream.below(static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(experts)));
    ids.at(i) = holes && i % 9 == 4 ? (i % 2 ? -1 : static_cast<std::int32_t>(experts)) : draw;
  }
  return ids;
}

using List = std::vector<double>;

}  // namespace

TEST_CASE("sort_by_expert is a stable sort of the slots", "[permutation]") {
  Ints ids({3, 2}, {2, 0, 0, 7, 2, 0});
  Sorted s = sort_by_expert(ids, 4);
  CHECK(s.position.values() == List{3, 0, 1, -1, 4, 2});
  CHECK(s.source.values() == List{1, 2, 5, 0, 4, -1});
  CHECK(s.offsets.values() == List{0, 3, 3, 5, 5});

  for (index_t tokens : {0, 1, 37, 256})
    for (index_t experts : {1, 4, 33})
      for (index_t k : {1, 2, 8})
        for (bool holes : {false, true}) {
          Ints random = random_ids(tokens, k, experts, holes);
          const Sorted got = sort_by_expert(random, experts);
          List source, offsets{0}, position(static_cast<std::size_t>(random.count()), -1);
          for (index_t e = 0; e < experts; ++e) {
            for (index_t i = 0; i < random.count(); ++i)
              if (random.at(i) == e) {
                position[static_cast<std::size_t>(i)] = double(source.size());
                source.push_back(double(i));
              }
            offsets.push_back(double(source.size()));
          }
          source.resize(static_cast<std::size_t>(random.count()), -1);
          REQUIRE(got.position.values() == position);
          REQUIRE(got.source.values() == source);
          REQUIRE(got.offsets.values() == offsets);
        }
}

TEST_CASE("sort_received brings each expert's rows together, peer by peer", "[permutation]") {
  // Two peers and four experts; the third expert gets nothing from anyone's first row.
  Ints counts({2, 4}, {4, 0, 2, 3, 1, 0, 0, 5});
  Sorted s = sort_received(counts, 15);
  CHECK(s.offsets.values() == List{0, 5, 5, 7, 15});
  CHECK(s.source.values() == List{0, 1, 2, 3, 9, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14});
  CHECK(s.position.values() == List{0, 1, 2, 3, 5, 6, 7, 8, 9, 4, 10, 11, 12, 13, 14});

  Ints fours({4, 4});
  fours.fill(4);
  s = sort_received(fours, 64);
  CHECK(s.offsets.values() == List{0, 16, 32, 48, 64});
  for (index_t e = 0; e < 4; ++e)
    for (index_t peer = 0; peer < 4; ++peer)
      for (index_t j = 0; j < 4; ++j) REQUIRE(s.source.at(e * 16 + peer * 4 + j) == (peer * 4 + e) * 4 + j);

  Ints none({3, 2});
  none.fill(0);
  CHECK(sort_received(none, 0).offsets.values() == List{0, 0, 0});
}

TEST_CASE("sort_received marks rows that nobody sent and refuses too many", "[permutation]") {
  Ints counts({2, 2}, {1, 0, 1, 2});
  const Sorted s = sort_received(counts, 6);
  CHECK(s.position.values() == List{0, 1, 2, 3, -1, -1});
  CHECK(s.source.values() == List{0, 1, 2, 3, -1, -1});
  CHECK_THROWS_AS(sort_received(counts, 3), Error);
}

TEST_CASE("sort_received equals a naive construction", "[permutation]") {
  for (index_t peers : {1, 2, 8, 64})
    for (index_t experts : {1, 8, 33}) {
      Ints counts = random_ids(peers, experts, 17, false);
      List source, offsets{0}, first;
      double rows = 0;
      for (index_t i = 0; i < counts.count(); ++i) {
        first.push_back(rows);
        rows += counts.at(i);
      }
      for (index_t e = 0; e < experts; ++e) {
        for (index_t p = 0; p < peers; ++p)
          for (std::int32_t j = 0; j < counts.at(p, e); ++j)
            source.push_back(first[static_cast<std::size_t>(p * experts + e)] + j);
        offsets.push_back(double(source.size()));
      }
      const Sorted got = sort_received(counts, index_t(rows));
      REQUIRE(got.source.values() == source);
      REQUIRE(got.offsets.values() == offsets);
      for (index_t i = 0; i < index_t(rows); ++i) REQUIRE(got.source.at(got.position.at(i)) == i);
    }
}

TEMPLATE_TEST_CASE("permute copies rows and unpermute with weights 1/k brings them back", "[permutation]", double,
                   float, bf16) {
  using T = TestType;
  for (index_t tokens : {0, 1, 37, 300})
    for (index_t k : {1, 2, 4})
      for (index_t cols : {1, 7, 64, 65, 300}) {
        Ints ids = random_ids(tokens, k, 5, false);
        Sorted s = sort_by_expert(ids, 5);
        TestTensor<T> x({tokens, cols}, 3), rows({tokens * k, cols}, 1), y({tokens, cols}, 2);
        TestTensor<Acc<T>> weights({tokens, k});
        x.randomise(1);
        weights.fill(Acc<T>(1) / Acc<T>(k));
        ops::permute<T, Cpu>(queue, x, s.source, k, rows.view());
        bool copied = true;
        for (index_t r = 0; r < rows.rows(); ++r)
          for (index_t c = 0; c < cols; ++c) copied &= double(rows.at(r, c)) == double(x.at(s.source.at(r) / k, c));
        CHECK(copied);
        ops::unpermute<T, Cpu>(queue, rows, s.position, weights, y.view(), false);
        CHECK(y.values() == x.values());
        ops::unpermute<T, Cpu>(queue, rows, s.position, weights, y.view(), true);
        List twice = x.values();
        for (double& v : twice) v *= 2;
        CHECK(y.values() == twice);
        CHECK((rows.guards_intact() && y.guards_intact()));
      }
}

TEMPLATE_TEST_CASE("permutations and their gradients equal their formulas, dropped slots included", "[permutation]",
                   double, float, bf16) {
  using T = TestType;
  const index_t tokens = 150, k = 3;
  for (index_t cols : {1, 65, 300}) {
    Ints ids = random_ids(tokens, k, 4, true);
    Sorted s = sort_by_expert(ids, 4);
    const index_t owned = s.offsets.at(4);
    REQUIRE(owned < tokens * k);
    TestTensor<T> in({tokens * k, cols}), dy({tokens, cols}), y({tokens, cols}), dx({tokens, cols}),
        din({tokens * k, cols});
    TestTensor<Acc<T>> weights({tokens, k}), dweights({tokens, k});
    in.randomise(1);
    dy.randomise(2);
    weights.randomise(3);
    for (index_t r = owned; r < in.rows(); ++r)
      for (index_t c = 0; c < cols; ++c) in.at(r, c) = T(std::numeric_limits<float>::quiet_NaN());  // never read
    ops::unpermute<T, Cpu>(queue, in, s.position, weights, y.view(), false);
    ops::permute_backward<T, Cpu>(queue, in, s.position, k, dx.view(), false);
    ops::unpermute_backward<T, Cpu>(queue, dy, in, s.position, weights, din.view(), dweights);
    List want_y, want_dx, want_dweights;
    bool exact = true, unowned_untouched = true, same_in_place = true;
    for (index_t n = 0; n < tokens; ++n) {
      for (index_t c = 0; c < cols; ++c) {
        double sum = 0, weighted = 0;
        for (index_t j = 0; j < k; ++j) {
          const std::int32_t at = s.position.at(n * k + j);
          if (at < 0) continue;
          sum += double(in.at(at, c));
          weighted += double(weights.at(n, j)) * double(in.at(at, c));
          exact &= double(din.at(at, c)) == double(T(weights.at(n, j) * Acc<T>(dy.at(n, c))));
        }
        want_dx.push_back(sum);
        want_y.push_back(weighted);
      }
      for (index_t j = 0; j < k; ++j) {
        const std::int32_t at = s.position.at(n * k + j);
        double dot = 0;
        for (index_t c = 0; c < cols && at >= 0; ++c) dot += double(dy.at(n, c)) * double(in.at(at, c));
        want_dweights.push_back(dot);
      }
    }
    CHECK(test::max_error(y.values(), want_y, 1) < test::tolerance<T>);
    CHECK(test::max_error(dx.values(), want_dx, 1) < test::tolerance<T>);
    CHECK(test::max_error(dweights.values(), want_dweights, 1) < (std::is_same_v<T, double> ? 1e-12 : 1e-5));
    for (index_t r = owned; r < din.rows(); ++r)
      for (index_t c = 0; c < cols; ++c) unowned_untouched &= std::isnan(double(din.at(r, c)));
    CHECK((exact && unowned_untouched));
    CHECK((din.guards_intact() && dweights.guards_intact() && y.guards_intact() && dx.guards_intact()));

    ops::permute_backward<T, Cpu>(queue, in, s.position, k, dy.view(), true);
    TestTensor<T> dy_before({tokens, cols});
    dy_before.randomise(2);
    for (std::size_t i = 0; i < want_dx.size(); ++i) want_dx[i] += double(dy_before.at(index_t(i)));
    CHECK(test::max_error(dy.values(), want_dx, 1) < test::tolerance<T>);

    TestTensor<Acc<T>> dweights_in_place({tokens, k});
    ops::unpermute_backward<T, Cpu>(queue, dy_before, in, s.position, weights, in.view(), dweights_in_place);
    CHECK(dweights_in_place.same_bits(dweights));
    for (index_t r = 0; r < owned; ++r)
      for (index_t c = 0; c < cols; ++c) same_in_place &= double(in.at(r, c)) == double(din.at(r, c));
    CHECK(same_in_place);
  }
}

TEST_CASE("permute fills rows without a source with zeros", "[permutation]") {
  Ints source({3}, {3, -1, 0});
  TestTensor<float> x({2, 2}, {1.f, 2.f, 3.f, 4.f}), out({3, 2});
  ops::permute<float, Cpu>(queue, x, source, 2, out.view());
  CHECK(out.values() == List{3, 4, 0, 0, 1, 2});
}

TEST_CASE("gradients of permute and unpermute are their derivatives", "[permutation]") {
  const index_t tokens = 4, k = 2, cols = 3;
  Ints ids = random_ids(tokens, k, 3, true);
  Sorted s = sort_by_expert(ids, 3);
  TestTensor<double> x({tokens, cols}), in({tokens * k, cols}), weights({tokens, k}), y({tokens, cols}),
      dy({tokens, cols}), rows({tokens * k, cols}), drows({tokens * k, cols}), dx({tokens, cols}),
      din({tokens * k, cols}), dweights({tokens, k});
  x.randomise(1);
  in.randomise(2);
  weights.randomise(3);
  dy.randomise(4);
  drows.randomise(5);
  din.fill(0);

  const auto permuted = [&] {
    ops::permute<double, Cpu>(queue, x, s.source, k, rows.view());
    return test::inner(rows, drows);
  };
  const auto want_dx = test::finite_differences(x, permuted);
  ops::permute_backward<double, Cpu>(queue, drows, s.position, k, dx.view(), false);
  CHECK(test::max_error(dx.values(), want_dx, 1) < 1e-8);

  const auto combined = [&] {
    ops::unpermute<double, Cpu>(queue, in, s.position, weights, y.view(), false);
    return test::inner(y, dy);
  };
  const auto want_din = test::finite_differences(in, combined),
             want_dweights = test::finite_differences(weights, combined);
  ops::unpermute_backward<double, Cpu>(queue, dy, in, s.position, weights, din.view(), dweights);
  CHECK(test::max_error(din.values(), want_din, 1) < 1e-8);
  CHECK(test::max_error(dweights.values(), want_dweights, 1) < 1e-8);
}
