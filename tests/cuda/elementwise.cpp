#include "ashlar/ops/elementwise/cuda.cuh"

#include "device_tensor.hpp"

using namespace ashlar;
using test::DeviceTensor;
using test::Results;
using test::TestTensor;

namespace {

constexpr index_t counts[] = {0, 1, 7, 64, 65, 300, 4097, 39300};

/// body(n, offset): contiguous arrays that begin at an aligned address, and ones that don't.
template <class Body>
void for_each_count(Body body) {
  for (const index_t n : counts)
    for (const index_t offset : {0, 1}) {
      CAPTURE(n, offset);
      body(n, offset);
    }
}

template <class From, class To>
void casts_agree() {
  for_each_count([](index_t n, index_t offset) {
    TestTensor<From> x({n});
    x.randomise(1, 100);
    if (n > 2) x.at(1) = From(std::numeric_limits<Acc<From>>::quiet_NaN());
    if (n > 2) x.at(2) = From(std::numeric_limits<Acc<From>>::infinity());
    test::agrees_with_cpu(
        [&](auto device) {
          using D = decltype(device);
          auto& queue = test::queue<D>();
          DeviceTensor<From, D> from(x, {offset, 0});
          DeviceTensor<To, D> to({n}, {offset, 0});
          ops::cast<From, To, D>(queue, from.view(), to.view());
          return Results{{to.values()}};
        },
        0);
  });
}

}  // namespace

TEMPLATE_TEST_CASE("add on Cuda agrees with Cpu", "[elementwise]", float, double, bf16) {
  using T = TestType;
  for_each_count([](index_t n, index_t offset) {
    TestTensor<T> a({n}), b({n});
    a.randomise(1);
    b.randomise(2);
    const int place = static_cast<int>(n % 3);
    test::agrees_with_cpu(
        [&](auto device) {
          using D = decltype(device);
          auto& queue = test::queue<D>();
          DeviceTensor<T, D> dev_a(a, {offset, 0}), dev_b(b, {offset, 0}), own({n}, {offset, 0});
          DeviceTensor<T, D>& out = place == 0 ? own : place == 1 ? dev_a : dev_b;
          ops::add<T, D>(queue, dev_a, dev_b, out);
          return Results{{out.values()}};
        },
        0);
  });
}

TEST_CASE("cast on Cuda agrees with Cpu", "[elementwise]") {
  casts_agree<float, bf16>();
  casts_agree<bf16, float>();
  casts_agree<double, float>();
  casts_agree<float, double>();
}

TEMPLATE_TEST_CASE("sum on Cuda agrees with Cpu, whatever the alignment", "[elementwise]", float, double) {
  using T = TestType;
  for (const index_t n : counts) {
    TestTensor<T> x({n});
    x.randomise(1);
    TestTensor<double> total({1}, {3.0});
    std::vector<double> bits[2];
    for (const index_t offset : {0, 1}) {
      CAPTURE(n, offset);
      test::agrees_with_cpu(
          [&](auto device) {
            using D = decltype(device);
            auto& queue = test::queue<D>();
            DeviceTensor<T, D> dev_x(x, {offset, 0});
            DeviceTensor<double, D> dev_total(total), workspace({ops::sum_workspace<D>(n)});
            ops::sum<T, D>(queue, dev_x.view(), dev_total, workspace);
            bits[offset] = dev_total.values();
            return Results{{dev_total.values()}};
          },
          1e-12, 1);
    }
    CHECK(bits[0] == bits[1]);
  }
}

TEMPLATE_TEST_CASE("count_non_finite on Cuda agrees with Cpu", "[elementwise]", float, double, bf16) {
  using T = TestType;
  for_each_count([](index_t n, index_t offset) {
    TestTensor<T> x({n});
    x.randomise(1);
    for (index_t i = 3; i < n; i += 7)
      x.at(i) = T(i % 2 ? std::numeric_limits<Acc<T>>::quiet_NaN() : -std::numeric_limits<Acc<T>>::infinity());
    TestTensor<std::int32_t> count({1}, {5});
    test::agrees_with_cpu(
        [&](auto device) {
          using D = decltype(device);
          auto& queue = test::queue<D>();
          DeviceTensor<T, D> dev_x(x, {offset, 0});
          DeviceTensor<std::int32_t, D> dev_count(count);
          ops::count_non_finite<T, D>(queue, dev_x.view(), dev_count);
          return Results{{}, {dev_count.values()}};
        },
        0);
  });
}

TEMPLATE_TEST_CASE("scale on Cuda agrees with Cpu", "[elementwise]", float, double, bf16) {
  using T = TestType;
  for_each_count([](index_t n, index_t offset) {
    TestTensor<T> x({n});
    x.randomise(1);
    test::agrees_with_cpu(
        [&](auto device) {
          using D = decltype(device);
          DeviceTensor<T, D> out(x, {offset, 0});
          ops::scale<T, D>(test::queue<D>(), out.view(), 0.375);
          return Results{{out.values()}};
        },
        0);
  });
}

TEMPLATE_TEST_CASE("scale_rows on Cuda agrees with Cpu", "[elementwise]", float, double, bf16) {
  using T = TestType;
  for (const index_t rows : {0, 1, 9})
    for (const index_t cols : {1, 37, 1200})
      for (const auto layout : test::layouts) {
        TestTensor<T> x({rows, cols});
        TestTensor<float> weights({rows});
        x.randomise(1);
        weights.randomise(2);
        if (rows > 2) weights.at(2) = 0;
        test::agrees_with_cpu(
            [&](auto device) {
              using D = decltype(device);
              DeviceTensor<T, D> out(x, layout);
              DeviceTensor<float, D> w(weights, layout);
              ops::scale_rows<T, D>(test::queue<D>(), out.view(), w);
              return Results{{out.values()}};
            },
            test::tolerance<T>);
      }
}
