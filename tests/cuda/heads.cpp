#include "ashlar/ops/heads/cuda.cuh"

#include "device_tensor.hpp"

using namespace ashlar;
using test::DeviceTensor;
using test::Results;
using test::TestTensor;

TEMPLATE_TEST_CASE("move_heads on Cuda agrees with Cpu", "[heads]", float, double, bf16) {
  using T = TestType;
  for (const auto& [from, to, width] :
       {std::tuple<ops::HeadColumns, ops::HeadColumns, index_t>{{3, 40, 1}, {3, 60, 2}, 37},
        {{1, 96, 32}, {5, 70, 6}, 64},
        {{5, 70, 6}, {1, 96, 32}, 64},
        {{1, 2, 0}, {1, 2, 0}, 0}})
    for (const index_t rows : {0, 1, 29})
      for (const auto layout : test::layouts) {
        TestTensor<T> x({rows, from.heads * from.head_dim});
        x.randomise(1);
        test::agrees_with_cpu(
            [&, from = from, to = to, width = width](auto device) {
              using D = decltype(device);
              auto& queue = test::queue<D>();
              TestTensor<T> start({rows, to.heads * to.head_dim});
              start.randomise(2);
              DeviceTensor<T, D> in(x, layout), out(start, layout);
              ops::move_heads<T, D>(queue, in, from, out, to, width);
              return Results{{out.values()}};
            },
            test::tolerance<T>);
      }
}
