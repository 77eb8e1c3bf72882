#include "ashlar/ops/adamw/cuda.cuh"

#include "device_tensor.hpp"

using namespace ashlar;
using test::DeviceTensor;
using test::Results;
using test::TestTensor;

namespace {

/// Three steps on n elements that begin at `offset`; `copy`: with a compute copy.
template <class T>
struct Case {
  index_t n, offset;
  bool copy;
  Acc<T> scale;

  Results operator()(auto device) const {
    using D = decltype(device);
    using A = Acc<T>;
    TestTensor<A> gradient({n}), parameter({n}), exp_avg({n}), exp_avg_sq({n}), gradient_scale({1}, {scale});
    gradient.randomise(1, 0.1);
    parameter.randomise(2);
    exp_avg.randomise(3, 0.01);
    exp_avg_sq.randomise(4, 0.01);
    for (index_t i = 0; i < n; ++i) exp_avg_sq.at(i) = std::abs(exp_avg_sq.at(i));
    auto& queue = test::queue<D>();
    DeviceTensor<A, D> g(gradient, {offset, 0}), p(parameter, {offset, 0}), m(exp_avg, {offset, 0});
    DeviceTensor<A, D> v(exp_avg_sq, {offset, 0}), s(gradient_scale);
    DeviceTensor<T, D> c({copy ? n : 0}, {offset, 0});
    for (int t = 1; t <= 3; ++t) {
      const ops::AdamWStep step{1e-2,       0.9, 0.95, 1e-8, 0.1, 1 - std::pow(0.9, t), 1 - std::pow(0.95, t),
                                offset == 1};  // coupled
      ops::adamw<T, D>(queue, step, s, g, p, m, v, copy ? c.view() : TensorView<T, D>());
    }
    return {{p.values(), m.values(), v.values(), c.values()}};
  }
};

}  // namespace

TEMPLATE_TEST_CASE("adamw on Cuda agrees with Cpu", "[adamw]", float, double, bf16) {
  using T = TestType;
  for (const index_t n : {0, 1, 7, 64, 65, 300, 2049, 9009})
    for (const index_t offset : {0, 1})
      for (const bool copy : {false, true}) {
        CAPTURE(n, offset, copy);
        test::agrees_with_cpu(Case<T>{n, offset, copy, Acc<T>(0.5)}, test::tolerance<T>);
      }
}

TEMPLATE_TEST_CASE("adamw on Cuda writes nothing when the scale isn't finite", "[adamw]", float, double, bf16) {
  using T = TestType;
  using A = Acc<T>;
  for (const A scale : {std::numeric_limits<A>::quiet_NaN(), std::numeric_limits<A>::infinity()})
    test::agrees_with_cpu(Case<T>{65, 0, true, scale}, 0);
}
