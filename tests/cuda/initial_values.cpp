#include "ashlar/ops/initial_values/cuda.cuh"

#include "device_tensor.hpp"

using namespace ashlar;
using test::DeviceTensor;
using test::Results;

TEMPLATE_TEST_CASE("initial values are drawn on Cuda as on Cpu", "[initial_values]", float, bf16) {
  using U = TestType;
  for (const Initializer& initializer :
       {Initializer::constant(0.5), Initializer::normal(2), Initializer::truncated_normal(0.5, 0.7),
        Initializer::truncated_normal(1, 1e-9), Initializer::truncated_normal(0.02, 2), Initializer::uniform(0.25)})
    for (const auto& [begin, n] :
         {std::pair<index_t, index_t>{0, 1}, {0, 0}, {3, 2}, {1, 1025}, {(index_t{1} << 40) + 62, 300}}) {
      const InitialValues values(initializer, 7, "layers.1.attention.wq");
      CAPTURE(begin, n, initializer.std, initializer.cut);
      test::agrees_with_cpu(
          [&](auto device) {
            using D = decltype(device);
            const DeviceTensor<U, D> out(Shape{n});
            ops::draw<U, D>(test::queue<D>(), values, begin, out.view());
            return Results{{out.values()}};
          },
          test::tolerance<U>, 1);
    }
}
