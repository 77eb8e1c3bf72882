#include "ashlar/ops/balance_loss/cuda.cuh"

#include "device_tensor.hpp"

using namespace ashlar;
using test::DeviceTensor;
using test::Layout;
using test::Results;
using test::TestTensor;

TEST_CASE("counts of choices, a group of rows each, on Cuda agree with Cpu", "[balance_loss]") {
  for (const index_t rows : {0, 1, 7, 300})
    for (const index_t experts : {1, 8, 70}) {
      const index_t top_k = experts > 1 ? 2 : 1, first = 5, group_rows = 4, groups = ceil_div(first + rows, group_rows);
      TestTensor<std::int32_t> chosen({rows, top_k}), counts({groups, experts});
      for (index_t i = 0; i < chosen.count(); ++i) chosen.at(i) = static_cast<std::int32_t>(i * i % experts);
      counts.fill(3);
      CAPTURE(rows, experts);
      test::agrees_with_cpu(
          [&](auto device) {
            using D = decltype(device);
            DeviceTensor<std::int32_t, D> dev_chosen(chosen), dev_counts(counts);
            ops::count_choices<D>(test::queue<D>(), dev_chosen, first, group_rows, dev_counts.view());
            return Results{{}, {dev_counts.values()}};
          },
          0);
    }
}

TEMPLATE_TEST_CASE("the gradient of the balance loss on Cuda agrees with Cpu", "[balance_loss]", float, double) {
  using A = TestType;
  for (const index_t rows : {0, 1, 33})
    for (const index_t experts : {1, 8, 70})
      for (const bool softmax : {false, true})
        for (const Layout layout : test::layouts) {
          const index_t first = 6, group_rows = 5;
          TestTensor<A> p({rows, experts}), dz({rows, experts});
          TestTensor<std::int32_t> counts({ceil_div(first + rows, group_rows), experts});
          for (index_t i = 0; i < p.count(); ++i) p.at(i) = A(0.05) * A(1 + i % 17);
          for (index_t i = 0; i < counts.count(); ++i) counts.at(i) = static_cast<std::int32_t>(i % 11);
          dz.randomise(1);
          CAPTURE(rows, experts, softmax);
          test::agrees_with_cpu(
              [&](auto device) {
                using D = decltype(device);
                DeviceTensor<A, D> dev_p(p, layout), dev_dz(dz, layout);
                DeviceTensor<std::int32_t, D> dev_counts(counts);
                ops::balance_loss_backward<A, D>(test::queue<D>(), dev_p, dev_counts, {softmax, 0.3, first, group_rows},
                                                 dev_dz.view());
                return Results{{dev_dz.values()}};
              },
              8 * test::tolerance<A>, 1);
        }
}
