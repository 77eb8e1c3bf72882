#include "ashlar/ops/load_balance/cuda.cuh"

#include "device_tensor.hpp"

using namespace ashlar;
using test::DeviceTensor;
using test::Results;
using test::TestTensor;

TEST_CASE("update_expert_bias follows the counts and clears them", "[load_balance]") {
  Cpu::Queue queue;
  TestTensor<std::int32_t> counts({4}, {1, 3, 3, 5});  // the mean is 3: two experts stay
  TestTensor<float> bias({4}, {0, 0.5f, 0, 0});
  ops::update_expert_bias<float, Cpu>(queue, counts.view(), 0.25, bias.view());
  CHECK(bias.values() == std::vector<double>{0.25, 0.5, 0, -0.25});
  CHECK(counts.values() == std::vector<double>{0, 0, 0, 0});
}

TEST_CASE("update_expert_bias on Cuda agrees with Cpu, ties and uneven warps included", "[load_balance]") {
  for (const index_t experts : {1, 2, 31, 32, 33, 100, 256}) {
    TestTensor<std::int32_t> counts({experts});
    TestTensor<float> bias({experts});
    bias.randomise(2, 0.1);
    for (index_t e = 0; e < experts; ++e) counts.at(e) = static_cast<std::int32_t>(7 * e % 5);
    CAPTURE(experts);
    test::agrees_with_cpu(
        [&](auto device) {
          using D = decltype(device);
          DeviceTensor<std::int32_t, D> dev_counts(counts);
          DeviceTensor<float, D> dev_bias(bias);
          ops::update_expert_bias<float, D>(test::queue<D>(), dev_counts.view(), 1e-2, dev_bias.view());
          return Results{{dev_bias.values()}, {dev_counts.values()}};
        },
        test::tolerance<float>);
  }
}
