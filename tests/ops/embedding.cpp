#include "ashlar/ops/embedding/embedding.hpp"

#include "catch.hpp"
#include "test_tensor.hpp"

using namespace ashlar;
using test::TestTensor;

namespace {

Cpu::Queue queue;

TestTensor<std::int32_t> ids_below(index_t n, std::uint64_t vocab) {
  TestTensor<std::int32_t> ids({n});
  const RandomStream stream(3, 3);
  for (index_t i = 0; i < n; ++i)
    ids.at(i) = static_cast<std::int32_t>(stream.below(static_cast<std::uint64_t>(i), vocab));
  return ids;
}

}  // namespace

TEMPLATE_TEST_CASE("shards of a vocabulary add up to the whole", "[embedding]", double, float, bf16) {
  using T = TestType;
  constexpr index_t vocab = 11;
  for (index_t n : {0, 1, 100, 700})
    for (index_t cols : {1, 7, 64, 65}) {
      auto ids = ids_below(n, vocab);
      TestTensor<T> table({vocab, cols}), out({n, cols}, 2), dy({n, cols});
      TestTensor<Acc<T>> dtable({vocab, cols});
      table.randomise(1);
      dy.randomise(2);
      dtable.fill(0);
      ops::embedding<T, Cpu>(queue, ids, table, 0, out.view());
      ops::embedding_backward<T, Cpu>(queue, ids, dy, 0, dtable.view(), {});
      std::vector<double> want(static_cast<std::size_t>(vocab * cols));
      bool copied = true;
      for (index_t i = 0; i < n; ++i)
        for (index_t c = 0; c < cols; ++c) {
          copied &= double(out.at(i, c)) == double(table.at(ids.at(i), c));
          want[static_cast<std::size_t>(ids.at(i) * cols + c)] += double(dy.at(i, c));
        }
      CHECK(copied);
      CHECK(test::max_error(dtable.values(), want, 1) < (std::is_same_v<T, double> ? 1e-12 : 1e-5));
      CHECK((out.guards_intact() && dtable.guards_intact()));

      TestTensor<Acc<T>> joined({vocab, cols});
      joined.fill(0);
      std::vector<double> sum(static_cast<std::size_t>(n * cols));
      for (auto [first, size] : {std::pair<index_t, index_t>{0, 4}, {4, 4}, {8, 3}}) {
        TestTensor<T> part({n, cols});
        ops::embedding<T, Cpu>(queue, ids, table.view().rows(first, size), first, part.view());
        for (index_t i = 0; i < part.count(); ++i) sum[static_cast<std::size_t>(i)] += double(part.at(i));
        ops::embedding_backward<T, Cpu>(queue, ids, dy, first, joined.view().rows(first, size), {});
      }
      CHECK(sum == out.values());
      CHECK(joined.same_bits(dtable));
    }
}

TEST_CASE("embedding_backward adds to what is there, in the order of the tokens", "[embedding]") {
  TestTensor<std::int32_t> ids({4}, {1, 1, 9, 1});
  TestTensor<float> dy({4, 1}, {1e8f, 1.0f, 5.0f, -1e8f}), dtable({2, 1}, {7.0f, 0.0f});
  ops::embedding_backward<float, Cpu>(queue, ids, dy, 0, dtable.view(), {});
  CHECK(dtable.at(0) == 7);
  CHECK(dtable.at(1) == 0);  // (1e8 + 1) - 1e8 in single precision, in that order
  ops::embedding_backward<float, Cpu>(queue, ids, dy, 8, dtable.view(), {});
  CHECK(dtable.at(1) == 5);
}
