#include "ashlar/ops/rope/cuda.cuh"

#include "device_tensor.hpp"

using namespace ashlar;
using ops::Pairs;
using ops::RopePositions;
using ops::RopeShape;
using test::DeviceTensor;
using test::Layout;
using test::Results;
using test::TestTensor;

namespace {

template <class T>
TestTensor<T> rotation_table(index_t positions, index_t width) {
  TestTensor<T> table({positions, width});
  for (index_t p = 0; p < positions; ++p)
    for (index_t i = 0; i < width / 2; ++i) {
      const double angle = double(p) * std::pow(10000.0, -2.0 * double(i) / double(width));
      table.at(p, 2 * i) = T(std::cos(angle));
      table.at(p, 2 * i + 1) = T(std::sin(angle));
    }
  return table;
}

}  // namespace

TEMPLATE_TEST_CASE("rope on Cuda agrees with Cpu", "[rope]", float, double, bf16) {
  using T = TestType;
  int turn = 0;
  // Whole heads; parts of heads that are whole packs, and that are not; nothing.
  const RopeShape shapes[] = {{1, 2, 0, 2},    {3, 6, 0, 6},      {2, 10, 0, 10}, {3, 64, 0, 64}, {1, 64, 0, 64},
                              {2, 48, 16, 32}, {2, 192, 128, 64}, {3, 11, 3, 6},  {2, 24, 4, 16}, {2, 8, 2, 0}};
  for (const index_t rows : {0, 1, 33, 131})
    for (RopeShape shape : shapes)
      for (const Pairs pairs : {Pairs::interleaved, Pairs::halves}) {
        if (rows == 131 && shape.head_dim > 64) continue;
        shape.pairs = pairs;
        const Layout layout = test::layouts[turn++ % 3];
        const index_t seq_len = rows > 33 ? 40 : 64, offset = turn % 4 < 2 ? 0 : 5;
        const bool by_row = turn % 5 < 2;
        TestTensor<T> x({rows, shape.heads * shape.head_dim});
        x.randomise(1);
        TestTensor<std::int32_t> positions({rows});
        for (index_t r = 0; r < rows; ++r) positions.at(r) = static_cast<std::int32_t>(r * 7 % seq_len);
        const auto table = rotation_table<Acc<T>>(seq_len + offset, shape.width);
        const auto direction = turn % 8 < 4 ? ops::Direction::forward : ops::Direction::backward;
        CAPTURE(rows, shape.head_dim, shape.heads, shape.begin, shape.width, layout.offset, offset, by_row);
        test::agrees_with_cpu(
            [&](auto device) {
              using D = decltype(device);
              auto& queue = test::queue<D>();
              const DeviceTensor<T, D> dev_x(x, layout);
              const DeviceTensor<Acc<T>, D> dev_table(table, layout);
              const DeviceTensor<std::int32_t, D> dev_positions(positions);
              RopePositions<D> at{seq_len, offset};
              if (by_row) at.of_row = dev_positions;
              ops::rope<T, D>(queue, dev_x, shape, at, dev_table, direction);
              return Results{{dev_x.values()}};
            },
            test::tolerance<T>);
      }
}

TEST_CASE("rope on Cuda leaves the other columns alone", "[rope]") {
  for (const Pairs pairs : {Pairs::interleaved, Pairs::halves})
    for (const index_t begin : {8, 3}) {  // by packs, and one by one
      TestTensor<float> x({5, 2 * 32});
      x.randomise(1);
      const DeviceTensor<float, Cuda> dev_x(x), table(rotation_table<float>(9, 16));
      ops::rope<float, Cuda>(test::queue<Cuda>(), dev_x, {2, 32, begin, 16, pairs}, {5, 4}, table, {});
      const auto got = dev_x.values();
      for (index_t i = 0; i < x.count(); ++i) {
        const bool turns = i % 32 >= begin && i % 32 < begin + 16;
        CHECK((got[static_cast<std::size_t>(i)] == double(x.at(i))) == !turns);
      }
    }
}

TEST_CASE("rope on Cuda there and back is the identity", "[rope]") {
  auto& queue = test::queue<Cuda>();
  for (const Pairs pairs : {Pairs::interleaved, Pairs::halves}) {
    TestTensor<double> x({33, 128});
    x.randomise(1);
    const DeviceTensor<double, Cuda> dev_x(x), table(rotation_table<double>(33, 64));
    ops::rope<double, Cuda>(queue, dev_x, {2, 64, 0, 64, pairs}, {33}, table, ops::Direction::forward);
    CHECK(test::max_error(dev_x.values(), x.values()) > 0.1);
    ops::rope<double, Cuda>(queue, dev_x, {2, 64, 0, 64, pairs}, {33}, table, ops::Direction::backward);
    CHECK(test::max_error(dev_x.values(), x.values()) < 1e-12);
  }
}
