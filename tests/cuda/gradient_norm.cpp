#include "ashlar/ops/gradient_norm/cuda.cuh"

#include "device_tensor.hpp"

using namespace ashlar;
using test::DeviceTensor;
using test::Results;
using test::TestTensor;

TEMPLATE_TEST_CASE("sum_of_squares on Cuda agrees with Cpu, whatever the alignment", "[gradient_norm]", float, double) {
  using T = TestType;
  for (const index_t n : {0, 1, 7, 64, 65, 300, 8192, 8193, 39300}) {
    TestTensor<T> x({n});
    x.randomise(1, 1e-3);
    if (n > 7) x.at(7) = T(1e20);  // its square is past the largest float
    TestTensor<double> sum({1}, {0.25});
    std::vector<double> bits[2];
    for (const index_t offset : {0, 1}) {
      CAPTURE(n, offset);
      test::agrees_with_cpu(
          [&](auto device) {
            using D = decltype(device);
            auto& queue = test::queue<D>();
            DeviceTensor<T, D> dev_x(x, {offset, 0});
            DeviceTensor<double, D> dev_sum(sum), workspace({ops::sum_of_squares_workspace<D>(n)});
            ops::sum_of_squares<T, D>(queue, dev_x.view(), dev_sum, workspace);
            bits[offset] = dev_sum.values();
            return Results{{dev_sum.values()}};
          },
          1e-12, 1e-30);
    }
    CHECK(bits[0] == bits[1]);
  }
}

TEST_CASE("sum_of_squares on Cuda refuses a workspace that is too small", "[gradient_norm]") {
  auto& queue = test::queue<Cuda>();
  TestTensor<float> x({100});
  DeviceTensor<float, Cuda> dev_x(x);
  DeviceTensor<double, Cuda> sum({1}), workspace({0});
  CHECK_THROWS_AS((ops::sum_of_squares<float, Cuda>(queue, dev_x.view(), sum, workspace)), Error);
}

TEMPLATE_TEST_CASE("clip_scale on Cuda agrees with Cpu", "[gradient_norm]", float, double) {
  using T = TestType;
  for (const double sum :
       {0.0, 1e-30, 0.25, 4.0, 1e80, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()})
    for (const double max_norm : {-1.0, 0.0, 1.0, 3.0}) {
      CAPTURE(sum, max_norm);
      const TestTensor<double> squares({1}, {sum});
      test::agrees_with_cpu(
          [&](auto device) {
            using D = decltype(device);
            auto& queue = test::queue<D>();
            DeviceTensor<double, D> dev_squares(squares);
            DeviceTensor<T, D> out(TestTensor<T>({3}, {0, 0, 5}));
            ops::clip_scale<T, D>(queue, dev_squares, max_norm, out.view());
            return Results{{out.values()}};
          },
          test::tolerance<T>, 1e-30);
    }
}
