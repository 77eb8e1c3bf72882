#include "ashlar/ops/conditioning/cuda.cuh"
#include "ashlar/ops/modulation/cuda.cuh"
#include "ashlar/ops/squared_error/cuda.cuh"

#include "device_tensor.hpp"

using namespace ashlar;
using test::DeviceTensor;
using test::Results;
using test::TestTensor;

TEMPLATE_TEST_CASE("modulation on Cuda agrees with Cpu", "[modulation]", float, double, bf16) {
  using T = TestType;
  for (const auto& [rows, cols, of, count] : {std::tuple<index_t, index_t, ops::SequenceRows, index_t>{0, 5, {0, 3}, 2},
                                              {1, 1, {2, 3}, 1},
                                              {7, 37, {2, 4}, 4},
                                              {12, 300, {0, 6}, 2}})
    for (const auto layout : test::layouts) {
      TestTensor<T> x({rows, cols}), f({rows, cols}), vectors({count, cols}), other({count, cols}), start({rows, cols});
      x.randomise(1);
      f.randomise(2);
      vectors.randomise(3);
      other.randomise(4);
      start.randomise(5);
      test::agrees_with_cpu(
          [&, rows = rows, cols = cols, of = of, count = count](auto device) {
            using D = decltype(device);
            auto& queue = test::queue<D>();
            DeviceTensor<T, D> in(x, layout), branch(f, layout), scale(vectors, layout), shift(other, layout);
            DeviceTensor<T, D> y({rows, cols}, layout), out({rows, cols}, layout), df({rows, cols}, layout),
                dx(start, layout), dshift(vectors, layout), dscale(other, layout), dgate(vectors, layout);
            DeviceTensor<Acc<T>, D> statistics({rows, 2}, layout);
            ops::modulate<T, D>(queue, in, shift, scale, of, 1e-6, y.view(), statistics.view());
            ops::modulate_backward<T, D>(queue, branch, in, scale, statistics, of, dx.view(), dshift.view(),
                                         dscale.view());
            ops::add_gated<T, D>(queue, in, branch, scale, of, out.view());
            ops::add_gated_backward<T, D>(queue, in, branch, scale, of, df.view(), dgate.view());
            return Results{{y.values(), dx.values(), dshift.values(), dscale.values(), out.values(), df.values(),
                            dgate.values(), statistics.values()}};
          },
          4 * test::tolerance<T>);
    }
}

TEMPLATE_TEST_CASE("silu and features of timesteps on Cuda agree with Cpu", "[conditioning]", float, double, bf16) {
  using T = TestType;
  for (const index_t count : {0, 1, 300}) {
    TestTensor<T> x({count}), dy({count}), start({count});
    TestTensor<float> t({count});
    x.randomise(1);
    dy.randomise(2);
    start.randomise(3);
    t.randomise(4);
    test::agrees_with_cpu(
        [&](auto device) {
          using D = decltype(device);
          auto& queue = test::queue<D>();
          const auto layout = test::layouts[0];
          DeviceTensor<T, D> in(x, layout), d(dy, layout), y({count}, layout), dx(start, layout),
              features({count, 6}, layout);
          DeviceTensor<float, D> timesteps(t, layout);
          ops::silu<T, D>(queue, in, y.view());
          ops::silu_backward<T, D>(queue, d, in, dx.view());
          ops::timestep_features<T, D>(queue, timesteps, features.view());
          return Results{{y.values(), dx.values(), features.values()}};
        },
        4 * test::tolerance<T>);
  }
}

TEMPLATE_TEST_CASE("squared errors on Cuda agree with Cpu", "[squared_error]", float, double, bf16) {
  using T = TestType;
  for (const index_t rows : {0, 1, 5})
    for (const index_t cols : {1, 37, 200})
      for (const auto layout : test::layouts) {
        TestTensor<T> x({rows, cols});
        TestTensor<float> target({rows, cols});
        x.randomise(1);
        target.randomise(2);
        test::agrees_with_cpu(
            [&](auto device) {
              using D = decltype(device);
              auto& queue = test::queue<D>();
              DeviceTensor<T, D> in(x, layout), dx({rows, cols}, layout);
              DeviceTensor<float, D> to(target, layout);
              DeviceTensor<Acc<T>, D> loss({rows}, layout), alone({rows}, layout);
              ops::squared_error<T, D>(queue, in, to, 0.37, dx.view(), loss.view());
              ops::squared_error<T, D>(queue, in, to, 1, TensorView<T, D>(), alone.view());
              return Results{{dx.values(), loss.values(), alone.values()}};
            },
            4 * test::tolerance<T>);
      }
}
