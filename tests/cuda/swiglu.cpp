#include "ashlar/ops/swiglu/cuda.cuh"

#include "device_tensor.hpp"

using namespace ashlar;
using test::DeviceTensor;
using test::Layout;
using test::Results;
using test::TestTensor;

TEMPLATE_TEST_CASE("swiglu on Cuda agrees with Cpu", "[swiglu]", float, double, bf16) {
  using T = TestType;
  test::for_each_shape([](index_t rows, index_t cols, Layout layout) {
    TestTensor<T> gate({rows, cols}), up({rows, cols});
    gate.randomise(1, 3);
    up.randomise(2);
    const int place = static_cast<int>(cols % 3);  // h on its own, in the place of gate, of up
    test::agrees_with_cpu(
        [&](auto device) {
          using D = decltype(device);
          auto& queue = test::queue<D>();
          DeviceTensor<T, D> g(gate, layout), u(up, layout), own({rows, cols}, layout);
          DeviceTensor<T, D>& h = place == 0 ? own : place == 1 ? g : u;
          ops::swiglu<T, D>(queue, g, u, h);
          return Results{{h.values()}};
        },
        test::tolerance<T>);
  });
}

TEMPLATE_TEST_CASE("swiglu_backward on Cuda agrees with Cpu", "[swiglu]", float, double, bf16) {
  using T = TestType;
  test::for_each_shape([](index_t rows, index_t cols, Layout layout) {
    TestTensor<T> dh({rows, cols}), gate({rows, cols}), up({rows, cols});
    dh.randomise(1);
    gate.randomise(2, 3);
    up.randomise(3);
    const int place = static_cast<int>((rows + cols) % 4);
    test::agrees_with_cpu(
        [&](auto device) {
          using D = decltype(device);
          auto& queue = test::queue<D>();
          DeviceTensor<T, D> d(dh, layout), g(gate, layout), u(up, layout);
          DeviceTensor<T, D> own_dgate({rows, cols}, layout), own_dup({rows, cols}, layout);
          DeviceTensor<T, D>& dgate = place == 1 ? d : place == 2 ? g : own_dgate;
          DeviceTensor<T, D>& dup = place == 2 ? u : place == 3 ? d : own_dup;
          ops::swiglu_backward<T, D>(queue, d, g, u, dgate, dup);
          return Results{{dgate.values(), dup.values()}};
        },
        test::tolerance<T>);
  });
}

TEST_CASE("swiglu on Cuda treats halves of one tensor, and extreme gates, as Cpu does", "[swiglu]") {
  TestTensor<float> both({33, 2 * 1200});  // a row is several tiles
  both.randomise(1, 40);
  both.at(0, 0) = 1000;
  both.at(0, 1) = -1000;
  both.at(0, 2) = std::numeric_limits<float>::quiet_NaN();
  both.at(0, 3) = -0.0f;
  test::agrees_with_cpu(
      [&](auto device) {
        using D = decltype(device);
        auto& queue = test::queue<D>();
        DeviceTensor<float, D> x(both), h({33, 1200});
        ops::swiglu<float, D>(queue, x.view().columns(0, 1200), x.view().columns(1200, 1200), h.view());
        return Results{{h.values()}};
      },
      test::tolerance<float>);
}
