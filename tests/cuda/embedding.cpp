#include "ashlar/ops/embedding/cuda.cuh"

#include "device_tensor.hpp"

using namespace ashlar;
using test::DeviceTensor;
using test::Layout;
using test::Results;
using test::TestTensor;

namespace {

enum class Ids { all_equal, all_outside, few, spread };

/// n ids around the shard [first, first + vocabulary): some lie outside of it.
TestTensor<std::int32_t> make_ids(Ids kind, index_t n, index_t first, index_t vocabulary) {
  TestTensor<std::int32_t> ids({n});
  const RandomStream stream(11, 1);
  for (index_t i = 0; i < n; ++i) {
    const auto bits = static_cast<index_t>(stream.bits(static_cast<std::uint64_t>(i)) >> 33);
    const index_t id = kind == Ids::all_equal     ? vocabulary / 2
                       : kind == Ids::all_outside ? (i % 2 ? -1 : vocabulary)
                       : kind == Ids::few         ? bits % 5 * (vocabulary - 1) / 3 - 1
                                                  : bits % (vocabulary + 4) - 2;
    ids.at(i) = static_cast<std::int32_t>(first + id);
  }
  return ids;
}

}  // namespace

TEMPLATE_TEST_CASE("embedding on Cuda agrees with Cpu", "[embedding]", float, double, bf16) {
  using T = TestType;
  test::for_each_shape([](index_t rows, index_t cols, Layout layout) {
    const index_t first = 100, vocabulary = cols % 2 ? 13 : 600;
    const auto ids = make_ids(rows % 2 ? Ids::spread : Ids::few, rows, first, vocabulary);
    TestTensor<T> table({vocabulary, cols});
    table.randomise(1);
    test::agrees_with_cpu(
        [&](auto device) {
          using D = decltype(device);
          auto& queue = test::queue<D>();
          DeviceTensor<std::int32_t, D> dev_ids(ids);
          DeviceTensor<T, D> dev_table(table, layout), out({rows, cols}, layout);
          ops::embedding<T, D>(queue, dev_ids, dev_table, first, out);
          return Results{{out.values()}};
        },
        0);
  });
}

TEMPLATE_TEST_CASE("embedding_backward on Cuda agrees with Cpu, bit by bit", "[embedding]", float, double, bf16) {
  using T = TestType;
  using A = Acc<T>;
  const auto agrees = [](Ids kind, index_t tokens, index_t cols, index_t vocabulary, Layout layout) {
    CAPTURE(static_cast<int>(kind), tokens, cols, vocabulary, layout.offset);
    const auto ids = make_ids(kind, tokens, 100, vocabulary);
    TestTensor<T> dy({tokens, cols});
    TestTensor<A> dtable({vocabulary, cols});
    dy.randomise(1);
    dtable.randomise(2);
    test::agrees_with_cpu(
        [&](auto device) {
          using D = decltype(device);
          auto& queue = test::queue<D>();
          DeviceTensor<std::int32_t, D> dev_ids(ids),
              workspace({ops::embedding_backward_workspace<D>(tokens, vocabulary)});
          DeviceTensor<T, D> dev_dy(dy, layout);
          DeviceTensor<A, D> dev_dtable(dtable, layout);
          for (int pass = 0; pass < 2; ++pass)  // the second adds to the first
            ops::embedding_backward<T, D>(queue, dev_ids, dev_dy, 100, dev_dtable, workspace);
          return Results{{}, {dev_dtable.values()}};
        },
        0);
  };
  for (const Ids kind : {Ids::all_equal, Ids::all_outside, Ids::few, Ids::spread}) {
    agrees(kind, 0, 7, 13, test::layouts[0]);
    agrees(kind, 1, 64, 1, test::layouts[1]);
    agrees(kind, 33, 7, 13, test::layouts[2]);
    agrees(kind, 131, 65, 600, test::layouts[0]);  // two passes of the sort
  }
  agrees(Ids::spread, 33, 1100, 13, test::layouts[1]);  // two slabs of columns
  agrees(Ids::spread, 2500, 1, 600, test::layouts[0]);  // two blocks of the sort
  agrees(Ids::few, 33, 1, 300000, test::layouts[0]);    // three passes
}
