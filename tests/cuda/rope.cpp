#include "ashlar/ops/rope/cuda.cuh"

#include "device_tensor.hpp"

using namespace ashlar;
using test::DeviceTensor;
using test::Layout;
using test::Results;
using test::TestTensor;

namespace {

template <class T>
TestTensor<T> rotation_table(index_t positions, index_t head_dim) {
  TestTensor<T> table({positions, head_dim});
  for (index_t p = 0; p < positions; ++p)
    for (index_t i = 0; i < head_dim / 2; ++i) {
      const double angle = double(p) * std::pow(10000.0, -2.0 * double(i) / double(head_dim));
      table.at(p, 2 * i) = T(std::cos(angle));
      table.at(p, 2 * i + 1) = T(std::sin(angle));
    }
  return table;
}

}  // namespace

TEMPLATE_TEST_CASE("rope on Cuda agrees with Cpu", "[rope]", float, double, bf16) {
  using T = TestType;
  int turn = 0;
  for (const index_t rows : {0, 1, 33, 131})
    for (const index_t head_dim : {2, 6, 10, 64})
      for (const index_t heads : {1, 3}) {
        const Layout layout = test::layouts[turn++ % 3];
        const index_t seq_len = rows > 33 ? 40 : 64, offset = turn % 2 ? 0 : 5;
        TestTensor<T> x({rows, heads * head_dim});
        x.randomise(1);
        const auto table = rotation_table<Acc<T>>(seq_len + offset, head_dim);
        const auto direction = turn % 4 < 2 ? ops::Direction::forward : ops::Direction::backward;
        CAPTURE(rows, head_dim, heads, layout.offset, offset);
        test::agrees_with_cpu(
            [&](auto device) {
              using D = decltype(device);
              auto& queue = test::queue<D>();
              DeviceTensor<T, D> dev_x(x, layout);
              DeviceTensor<Acc<T>, D> dev_table(table, layout);
              ops::rope<T, D>(queue, dev_x, head_dim, seq_len, offset, dev_table, direction);
              return Results{{dev_x.values()}};
            },
            test::tolerance<T>);
      }
}

TEST_CASE("rope on Cuda there and back is the identity", "[rope]") {
  TestTensor<double> x({33, 128});
  x.randomise(1);
  auto& queue = test::queue<Cuda>();
  DeviceTensor<double, Cuda> dev_x(x), table(rotation_table<double>(33, 64));
  ops::rope<double, Cuda>(queue, dev_x, 64, 33, 0, table, ops::Direction::forward);
  CHECK(test::max_error(dev_x.values(), x.values()) > 0.1);
  ops::rope<double, Cuda>(queue, dev_x, 64, 33, 0, table, ops::Direction::backward);
  CHECK(test::max_error(dev_x.values(), x.values()) < 1e-12);
}
