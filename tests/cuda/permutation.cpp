#include "ashlar/ops/permutation/cuda.cuh"

#include "device_tensor.hpp"

using namespace ashlar;
using test::DeviceTensor;
using test::Layout;
using test::Results;
using test::TestTensor;

namespace {

using Integers = TestTensor<std::int32_t>;

/// Ids in [-1, experts], of which the first and the last are out of range; `skew`: nearly all the same.
Integers make_experts(index_t tokens, index_t top_k, index_t experts, bool skew) {
  Integers ids({tokens, top_k});
  const RandomStream stream(3, 1);
  for (index_t i = 0; i < ids.count(); ++i) {
    const auto bits = static_cast<index_t>(stream.bits(static_cast<std::uint64_t>(i)) >> 33);
    ids.at(i) = static_cast<std::int32_t>(skew && i % 16 ? experts / 2 : bits % (experts + 2) - 1);
  }
  return ids;
}

struct Sorted {
  Integers position, source, offsets;
};

Sorted sorted_on_cpu(const Integers& ids, index_t experts) {
  Sorted out{Integers({ids.count()}), Integers({ids.count()}), Integers({experts + 1})};
  Integers in = ids;
  ops::cpu::sort_by_expert(in, out.position, out.source, out.offsets);
  return out;
}

Results sort(auto device, const Integers& ids, index_t experts) {
  using D = decltype(device);
  auto& queue = test::queue<D>();
  const index_t slots = ids.count();
  DeviceTensor<std::int32_t, D> dev_ids(ids), position({slots}), source({slots}), offsets({experts + 1});
  DeviceTensor<std::int32_t, D> workspace({ops::sort_by_expert_workspace<D>(slots, experts)});
  ops::sort_by_expert<D>(queue, dev_ids, position.view(), source, offsets, workspace);
  return {{}, {position.values(), source.values(), offsets.values()}};
}

}  // namespace

TEST_CASE("sort_by_expert on Cuda agrees with Cpu", "[permutation]") {
  for (const index_t tokens : {0, 1, 33, 131, 1100})
    for (const index_t experts : {1, 8, 256, 511, 512, 1030})
      for (const bool skew : {false, true}) {
        if (tokens > 131 && experts != 8 && experts != 512) continue;
        const index_t top_k = tokens % 2 ? 1 : 4;
        CAPTURE(tokens, experts, skew);
        const auto ids = make_experts(tokens, top_k, experts, skew);
        test::agrees_with_cpu([&](auto device) { return sort(device, ids, experts); }, 0);
      }
}

TEST_CASE("sort_received on Cuda agrees with Cpu", "[permutation]") {
  for (const index_t peers : {1, 4})
    for (const index_t experts : {1, 8, 300})
      for (const int kind : {0, 1, 2}) {  // nothing sent; ragged; one peer sends one expert a lot
        Integers counts({peers, experts});
        std::int32_t total = 0;
        for (index_t i = 0; i < counts.count(); ++i) {
          counts.at(i) = kind == 0                  ? 0
                         : kind == 1                ? static_cast<std::int32_t>(i * 7 % 5)
                         : i == peers * experts / 2 ? 700
                                                    : 0;
          total += counts.at(i);
        }
        for (const index_t spare : {0, 300}) {
          if (experts == 300 && (peers > 1 || kind != 1 || spare == 0)) continue;
          CAPTURE(peers, experts, kind, spare);
          test::agrees_with_cpu(
              [&](auto device) {
                using D = decltype(device);
                auto& queue = test::queue<D>();
                const index_t rows = total + spare;
                DeviceTensor<std::int32_t, D> dev_counts(counts, {0, 3}), position({rows}), source({rows});
                DeviceTensor<std::int32_t, D> offsets({experts + 1});
                ops::sort_received<D>(queue, dev_counts, position.view(), source, offsets);
                return Results{{}, {position.values(), source.values(), offsets.values()}};
              },
              0);
        }
      }
}

TEST_CASE("sort_received on Cuda writes no row past the end", "[permutation]") {
  auto& queue = test::queue<Cuda>();
  const Integers counts({2, 2}, {5, 6, 7, 8});  // 26 rows, where there is room for 20
  Integers before({40});
  before.fill(-7);
  DeviceTensor<std::int32_t, Cuda> dev_counts(counts), position(before), source(before), offsets({3});
  const auto first = [](const DeviceTensor<std::int32_t, Cuda>& all) {
    return TensorView<std::int32_t, Cuda>(all.view().data(), {20});
  };
  ops::sort_received<Cuda>(queue, dev_counts, first(position), first(source), offsets);
  CHECK(offsets.values() == std::vector<double>{0, 12, 26});
  for (const auto& values : {position.values(), source.values()})
    CHECK(std::vector<double>(values.begin() + 20, values.end()) == std::vector<double>(20, -7));
}

TEMPLATE_TEST_CASE("permute and its gradient on Cuda agree with Cpu", "[permutation]", float, double, bf16) {
  using T = TestType;
  test::for_each_shape([](index_t tokens, index_t cols, Layout layout) {
    const index_t top_k = cols % 2 ? 1 : 3;
    const auto sorted = sorted_on_cpu(make_experts(tokens, top_k, 5, false), 5);
    TestTensor<T> x({tokens, cols}), dout({tokens * top_k, cols});
    x.randomise(1);
    dout.randomise(2);
    const bool accumulate = layout.offset == 0;
    test::agrees_with_cpu(
        [&](auto device) {
          using D = decltype(device);
          auto& queue = test::queue<D>();
          DeviceTensor<std::int32_t, D> position(sorted.position), source(sorted.source);
          DeviceTensor<T, D> dev_x(x, layout), out(dout.shape(), layout), dev_dout(dout, layout);
          DeviceTensor<T, D> unwritten(x.shape(), layout);
          DeviceTensor<T, D>& dx = accumulate ? dev_x : unwritten;
          ops::permute<T, D>(queue, dev_x, source, top_k, out);
          const auto permuted = out.values();
          DeviceTensor<T, D> by_token(dout.shape(), layout);
          ops::permute<T, D>(queue, dev_x, source, top_k, by_token, position.view());
          ops::permute_backward<T, D>(queue, dev_dout, position, top_k, dx, accumulate);
          return Results{{permuted, by_token.values(), dx.values()}};
        },
        test::tolerance<T>);
  });
}

TEMPLATE_TEST_CASE("unpermute and its gradient on Cuda agree with Cpu", "[permutation]", float, double, bf16) {
  using T = TestType;
  using A = Acc<T>;
  test::for_each_shape([](index_t tokens, index_t cols, Layout layout) {
    const index_t top_k = cols % 2 ? 2 : 11;  // fewer and more than are read together
    const auto sorted = sorted_on_cpu(make_experts(tokens, top_k, 5, false), 5);
    TestTensor<T> in({tokens * top_k, cols}), y({tokens, cols}), dy({tokens, cols});
    TestTensor<A> weights({tokens, top_k});
    in.randomise(1);
    y.randomise(2);
    dy.randomise(3);
    weights.randomise(4);
    const bool accumulate = layout.offset == 0, in_place = layout.gap == 0;
    test::agrees_with_cpu(
        [&](auto device) {
          using D = decltype(device);
          auto& queue = test::queue<D>();
          DeviceTensor<std::int32_t, D> position(sorted.position);
          DeviceTensor<T, D> dev_in(in, layout), given(y, layout), unwritten(y.shape(), layout), dev_dy(dy, layout);
          DeviceTensor<T, D> own_din(in.shape(), layout);
          DeviceTensor<A, D> w(weights, layout), dw(weights.shape(), layout);
          DeviceTensor<T, D>& out = accumulate ? given : unwritten;
          DeviceTensor<T, D>& din = in_place ? dev_in : own_din;
          ops::unpermute<T, D>(queue, dev_in, position, w, out, accumulate);
          ops::unpermute_backward<T, D>(queue, dev_dy, dev_in, position, w, din, dw);
          DeviceTensor<T, D> weighed(in, layout);  // alone, as rows that experts read
          ops::unpermute_backward<T, D>(queue, dev_dy, {}, position, w, weighed, {});
          return Results{{out.values(), din.values(), dw.values(), weighed.values()}};
        },
        4 * test::tolerance<T>, 1);
  });
}
