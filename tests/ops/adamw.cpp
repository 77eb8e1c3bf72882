#include "ashlar/ops/adamw/adamw.hpp"

#include "catch.hpp"
#include "test_tensor.hpp"

using namespace ashlar;
using test::TestTensor;

namespace {

Cpu::Queue queue;

ops::AdamWStep step_at(int t, double weight_decay = 0.1) {
  return {8e-4, 0.9, 0.95, 1e-8, weight_decay, 1 - std::pow(0.9, t), 1 - std::pow(0.95, t)};
}

/// The four tensors of a model of n parameters, and its copy in T.
template <class T>
struct State {
  using A = Acc<T>;
  TestTensor<A> gradient, parameter, exp_avg, exp_avg_sq;
  TestTensor<T> copy;

  explicit State(index_t n) : gradient({n}), parameter({n}), exp_avg({n}), exp_avg_sq({n}), copy({n}) {
    parameter.randomise(1);
    exp_avg.fill(0);
    exp_avg_sq.fill(0);
  }
  void step(int t, double scale, index_t begin, index_t n) {
    TestTensor<A> gradient_scale({1}, {A(scale)});
    const auto range = [=](auto& x) { return std::decay_t<decltype(x.view())>(x.view().data() + begin, {n}); };
    ops::adamw<T, Cpu>(queue, step_at(t), gradient_scale, range(gradient), range(parameter), range(exp_avg),
                       range(exp_avg_sq), range(copy));
  }
};

}  // namespace

TEMPLATE_TEST_CASE("a hundred steps of adamw equal the formula in double", "[adamw]", double, float, bf16) {
  using T = TestType;
  const bool exact = std::is_same_v<T, double>;
  for (index_t n : {0, 1, 7, 1023, 40000}) {
    State<T> s(n);
    auto p = s.parameter.values();
    std::vector<double> m(p.size()), v(p.size());
    const double scale = 0.5;
    const int steps = n > 10000 ? 10 : 100;
    for (int t = 1; t <= steps; ++t) {
      s.gradient.randomise(static_cast<std::uint64_t>(t), 0.1);
      s.step(t, scale, 0, n);
      const ops::AdamWStep o = step_at(t);
      for (std::size_t i = 0; i < p.size(); ++i) {
        const double g = scale * double(s.gradient.at(index_t(i)));
        p[i] -= o.lr * o.weight_decay * p[i];
        m[i] = o.beta1 * m[i] + (1 - o.beta1) * g;
        v[i] = o.beta2 * v[i] + (1 - o.beta2) * g * g;
        p[i] -= o.lr * (m[i] / o.bias_correction1) / (std::sqrt(v[i] / o.bias_correction2) + o.eps);
      }
    }
    CHECK(test::max_error(s.parameter.values(), p, 1) < (exact ? 1e-13 : 2e-6));
    CHECK(test::max_error(s.exp_avg.values(), m) < (exact ? 1e-13 : 1e-6));
    CHECK(test::max_error(s.exp_avg_sq.values(), v) < (exact ? 1e-13 : 1e-6));
    CHECK((s.parameter.guards_intact() && s.exp_avg.guards_intact() && s.exp_avg_sq.guards_intact()));
    CHECK(s.copy.guards_intact());
    bool rounded = true;
    for (index_t i = 0; i < n; ++i) rounded &= double(s.copy.at(i)) == double(T(s.parameter.at(i)));
    CHECK(rounded);
  }
}

TEMPLATE_TEST_CASE("with coupled decay steps are Adam's on a loss with an L2 term", "[adamw]", double, float, bf16) {
  using T = TestType;
  using A = Acc<T>;
  const index_t n = 1023;
  State<T> s(n);
  auto p = s.parameter.values();
  std::vector<double> m(p.size()), v(p.size());
  for (int t = 1; t <= 20; ++t) {
    s.gradient.randomise(static_cast<std::uint64_t>(t), 0.1);
    ops::AdamWStep o = step_at(t, 0.3);
    o.coupled = true;
    TestTensor<A> scale({1}, {A(0.5)});
    ops::adamw<T, Cpu>(queue, o, scale, s.gradient, s.parameter, s.exp_avg, s.exp_avg_sq, s.copy.view());
    for (std::size_t i = 0; i < p.size(); ++i) {
      const double g = 0.5 * double(s.gradient.at(index_t(i))) + 0.3 * p[i];
      m[i] = o.beta1 * m[i] + (1 - o.beta1) * g;
      v[i] = o.beta2 * v[i] + (1 - o.beta2) * g * g;
      p[i] -= o.lr * (m[i] / o.bias_correction1) / (std::sqrt(v[i] / o.bias_correction2) + o.eps);
    }
  }
  CHECK(test::max_error(s.parameter.values(), p, 1) < (std::is_same_v<T, double> ? 1e-13 : 2e-6));
}

TEST_CASE("adamw gives the same bits whatever ranges the parameters are cut into", "[adamw]") {
  const index_t n = 40013;
  State<bf16> whole(n);
  for (index_t parts : {2, 3, 7}) {
    State<bf16> cut(n);
    State<bf16> together(n);
    for (int t = 1; t <= 3; ++t) {
      cut.gradient.randomise(static_cast<std::uint64_t>(t));
      together.gradient = cut.gradient;
      together.step(t, 0.7, 0, n);
      for (index_t i = 0; i < parts; ++i) cut.step(t, 0.7, i * n / parts, (i + 1) * n / parts - i * n / parts);
    }
    CHECK(cut.parameter.same_bits(together.parameter));
    CHECK(cut.exp_avg.same_bits(together.exp_avg));
    CHECK(cut.exp_avg_sq.same_bits(together.exp_avg_sq));
    CHECK(cut.copy.same_bits(together.copy));
  }
}

TEST_CASE("a gradient scale that is not finite makes adamw a no-op", "[adamw]") {
  for (double scale : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    State<bf16> s(9);
    s.gradient.randomise(1);
    const State<bf16> before = s;
    s.step(1, scale, 0, 9);
    CHECK(s.parameter.same_bits(before.parameter));
    CHECK(s.exp_avg.same_bits(before.exp_avg));
    CHECK(s.exp_avg_sq.same_bits(before.exp_avg_sq));
    CHECK(s.copy.same_bits(before.copy));
    s.step(1, 1, 0, 9);
    CHECK(!s.parameter.same_bits(before.parameter));
  }
}

TEST_CASE("adamw without a copy, without decay, and at its first step", "[adamw]") {
  TestTensor<float> scale({1}, {1.0f}), g({2}, {1e-3f, -2.0f}), p({2}, {1.0f, 1.0f}), m({2}), v({2});
  m.fill(0);
  v.fill(0);
  ops::adamw<bf16, Cpu>(queue, step_at(1, 0), scale, g, p, m, v, {});
  // The first step moves every parameter by the learning rate against its gradient's sign.
  CHECK(p.at(0) == Approx(1 - 8e-4).epsilon(1e-6));
  CHECK(p.at(1) == Approx(1 + 8e-4).epsilon(1e-6));
  ops::adamw<bf16, Cpu>(queue, step_at(2, 0.5), scale, TestTensor<float>({2}, {0.0f, 0.0f}), p, m.fill(0), v.fill(0),
                        {});
  CHECK(p.at(0) == Approx((1 - 8e-4) * (1 - 8e-4 * 0.5)).epsilon(1e-6));  // decay alone
}
