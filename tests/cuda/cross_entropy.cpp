#include "ashlar/ops/cross_entropy/cuda.cuh"

#include <numeric>

#include "ashlar/ops/cross_entropy/cross_entropy.hpp"
#include "device_tensor.hpp"

using namespace ashlar;
using test::DeviceTensor;
using test::Layout;
using test::Results;
using test::TestTensor;

namespace {

/// A row of logits in shards of the vocabulary, with targets anywhere in it, on the edges of shards, and ignored ones.
template <class T>
struct Case {
  using A = Acc<T>;
  index_t rows, vocab;
  TestTensor<A> logits;
  TestTensor<std::int32_t> targets;

  Case(index_t n, index_t v, double scale = 3) : rows(n), vocab(v), logits({n, v}), targets({n}) {
    logits.randomise(1, scale);
    const RandomStream random(2, 3);
    for (index_t i = 0; i < rows; ++i)
      targets.at(i) = i % 5 == 3   ? ops::ignore_index
                      : i % 5 == 1 ? static_cast<std::int32_t>(vocab - 1)
                      : i % 5 == 2 ? 0
                                   : static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(i),
                                                                            static_cast<std::uint64_t>(vocab)));
  }

  /// Columns [begin, begin + n) of the logits, as one rank of a tensor-parallel group has them.
  TestTensor<A> shard(index_t begin, index_t n) const {
    TestTensor<A> out({rows, n});
    for (index_t i = 0; i < rows; ++i)
      for (index_t j = 0; j < n; ++j) out.at(i, j) = logits.at(i, begin + j);
    return out;
  }

  Results run(auto device, Layout layout, const std::vector<index_t>& shards, bool in_place = false) const {
    using D = decltype(device);
    auto& queue = test::queue<D>();
    const auto parts = static_cast<index_t>(shards.size());
    const DeviceTensor<std::int32_t, D> ids(targets);
    const DeviceTensor<A, D> gathered({parts, rows, 3}), merged({rows, 3}), loss({rows});
    Results out;
    index_t first = 0;
    for (index_t p = 0; p < parts; first += shards[static_cast<std::size_t>(p++)]) {
      const DeviceTensor<A, D> z(shard(first, shards[static_cast<std::size_t>(p)]), layout);
      ops::cross_entropy_statistics<A, D>(queue, z, ids, first, gathered.view().rows(p * rows, rows));
    }
    ops::cross_entropy_merge<A, D>(queue, gathered, merged);
    out.numbers = {gathered.values(), merged.values()};
    first = 0;
    for (const index_t n : shards) {
      const DeviceTensor<A, D> z(shard(first, n), layout);
      const DeviceTensor<T, D> own(Shape{rows, n}, layout);
      if constexpr (std::is_same_v<T, A>)
        ops::cross_entropy_backward<T, D>(queue, z, ids, first, merged, 0.125, in_place ? z : own, loss);
      else
        ops::cross_entropy_backward<T, D>(queue, z, ids, first, merged, 0.125, own, loss);
      if constexpr (std::is_same_v<T, A>)
        out.numbers.push_back((in_place ? z : own).values());
      else
        out.numbers.push_back(own.values());
      out.numbers.push_back(loss.values());
      first += n;
    }
    return out;
  }
};

/// The statistics and the loss are sums in Acc<T>, the gradient is rounded to T.
template <class T>
constexpr double within = 2 * test::tolerance<T>;

}  // namespace

TEMPLATE_TEST_CASE("cross_entropy on Cuda agrees with Cpu", "[cross_entropy]", float, double, bf16) {
  using T = TestType;
  int turn = 0;
  for (const index_t rows : {0, 1, 4, 33})
    for (const index_t vocab : {1, 7, 130, 2500}) {
      if (rows * vocab > 20000) continue;
      const Case<T> c(rows, vocab);
      const Layout layout = test::layouts[turn++ % 3];
      CAPTURE(rows, vocab, layout.offset);
      test::agrees_with_cpu([&](auto device) { return c.run(device, layout, {vocab}, turn % 2 == 0); }, within<T>);
    }
}

TEMPLATE_TEST_CASE("cross_entropy on Cuda over shards of the vocabulary", "[cross_entropy]", float, double, bf16) {
  using T = TestType;
  const Case<T> c(7, 130);
  for (const std::vector<index_t>& shards :
       {std::vector<index_t>{65, 65}, {1, 128, 1}, {0, 130}, {44, 44, 42}, {130, 0}}) {
    CAPTURE(shards);
    test::agrees_with_cpu([&](auto device) { return c.run(device, {0, 2}, shards); }, within<T>);
  }
}

TEMPLATE_TEST_CASE("cross_entropy on Cuda with extreme logits", "[cross_entropy]", float, double) {
  using A = TestType;
  constexpr A infinity = std::numeric_limits<A>::infinity(), nan = std::numeric_limits<A>::quiet_NaN();
  Case<A> c(8, 70, 1);
  for (index_t i = 0; i < 70; ++i) {
    c.logits.at(0, i) *= A(1e4);
    c.logits.at(2, i) = A(-1e4);
    c.logits.at(3, i) = nan;                        // an ignored row: its gradient is 0 all the same
    c.logits.at(4, i) = i == 7 ? A(2) : -infinity;  // one finite logit
    c.logits.at(5, i) = A(i);
  }
  c.targets.at(4) = 7;
  c.logits.at(1, 12) = -infinity;
  c.logits.at(6, 11) = nan;
  c.logits.at(7, 69) = infinity;
  test::agrees_with_cpu([&](auto device) { return c.run(device, {}, {70}); }, within<A>);
}

TEMPLATE_TEST_CASE("cross_entropy on Cuda: loss alone, all rows ignored", "[cross_entropy]", float, bf16) {
  using T = TestType;
  Case<T> c(5, 33);
  c.targets.fill(ops::ignore_index);
  test::agrees_with_cpu([&](auto device) { return c.run(device, {}, {33}); }, within<T>);
  test::agrees_with_cpu(
      [&](auto device) {
        using D = decltype(device);
        auto& queue = test::queue<D>();
        const DeviceTensor<float, D> z(c.logits), statistics({5, 3}), loss({5});
        const DeviceTensor<std::int32_t, D> ids(c.targets);
        ops::cross_entropy_statistics<float, D>(queue, z, ids, 0, statistics);
        ops::cross_entropy_backward<T, D>(queue, z, ids, 0, statistics, 1, TensorView<T, D>{}, loss);
        return Results{{loss.values()}};
      },
      within<T>);
}
