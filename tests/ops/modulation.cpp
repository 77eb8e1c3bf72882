// Modulation by its formula, and its backward against central differences; also of a part of the rows.
#include "ashlar/ops/modulation/modulation.hpp"

#include <cmath>

#include "ashlar/ops/conditioning/conditioning.hpp"
#include "ashlar/ops/elementwise/elementwise.hpp"
#include "ashlar/ops/squared_error/squared_error.hpp"
#include "catch.hpp"
#include "ops/test_tensor.hpp"

using namespace ashlar;
using ops::SequenceRows;
using test::TestTensor;

TEMPLATE_TEST_CASE("modulate and add_gated equal their formulas, also in place", "[modulation]", double, float, bf16) {
  using T = TestType;
  Cpu::Queue queue;
  for (const auto& [rows, cols, of, count] : {std::tuple<index_t, index_t, SequenceRows, index_t>{0, 3, {0, 2}, 1},
                                              {1, 1, {0, 1}, 1},
                                              {5, 7, {2, 3}, 3},
                                              {8, 65, {0, 4}, 2}}) {
    TestTensor<T> x({rows, cols}, 3), f({rows, cols}), scale({count, cols}, 2), shift({count, cols}),
        y({rows, cols}, 1);
    TestTensor<Acc<T>> statistics({rows, 2});
    x.randomise(1);
    f.randomise(2);
    scale.randomise(3);
    shift.randomise(4);
    std::vector<double> normed, gated;
    for (index_t r = 0; r < rows; ++r) {
      const index_t b = (of.first + r) / of.len;
      double mean = 0, variance = 0;
      for (index_t c = 0; c < cols; ++c) mean += double(x.at(r, c)) / double(cols);
      for (index_t c = 0; c < cols; ++c) variance += std::pow(double(x.at(r, c)) - mean, 2) / double(cols);
      for (index_t c = 0; c < cols; ++c) {
        normed.push_back((double(x.at(r, c)) - mean) / std::sqrt(variance + 1e-3) * (1 + double(scale.at(b, c))) +
                         double(shift.at(b, c)));
        gated.push_back(double(x.at(r, c)) + double(scale.at(b, c)) * double(f.at(r, c)));
      }
    }
    ops::modulate<T, Cpu>(queue, x, shift, scale, of, 1e-3, y.view(), statistics.view());
    CHECK(test::max_error(y.values(), normed, 1) < 4 * test::tolerance<T>);
    CHECK(y.guards_intact());
    ops::add_gated<T, Cpu>(queue, x, f, scale, of, y.view());
    CHECK(test::max_error(y.values(), gated, 1) < test::tolerance<T>);
    CHECK(y.guards_intact());
    ops::add_gated<T, Cpu>(queue, x, f, scale, of, f.view());
    CHECK(f.values() == y.values());
  }
}

TEST_CASE("modulation's gradients are its derivatives, and are added to what is there", "[modulation]") {
  Cpu::Queue queue;
  const index_t rows = 5, cols = 4, count = 3;
  const SequenceRows of{2, 3};  // one row of the first, three of the second, one of the third
  using Tensor = TestTensor<double>;
  Tensor x({rows, cols}), f({rows, cols}), scale({count, cols}), shift({count, cols}), y({rows, cols}), d({rows, cols});
  Tensor statistics({rows, 2});
  std::uint64_t seed = 1;
  for (Tensor* t : {&x, &f, &scale, &shift, &d}) t->randomise(seed++);
  const auto inner = [&] {
    double sum = 0;
    for (index_t i = 0; i < rows * cols; ++i) sum += d.at(i) * y.at(i);
    return sum;
  };
  const auto differs = [&](Tensor& at, const Tensor& gradient, double start, auto&& forward) {
    double worst = 0;
    for (index_t i = 0; i < at.count(); ++i) {
      const double before = at.at(i);
      at.at(i) = before + 1e-5;
      forward();
      const double above = inner();
      at.at(i) = before - 1e-5;
      forward();
      worst = std::max(worst, std::abs((above - inner()) / 2e-5 - (gradient.at(i) - start)));
      at.at(i) = before;
    }
    forward();
    return worst;
  };
  const auto modulate = [&] {
    ops::modulate<double, Cpu>(queue, x, shift, scale, of, 1e-3, y.view(), statistics.view());
  };
  Tensor dx({rows, cols}), dshift({count, cols}), dscale({count, cols}), dgate({count, cols}), df({rows, cols});
  for (Tensor* t : {&dx, &dshift, &dscale, &dgate}) t->fill(2);
  modulate();
  ops::modulate_backward<double, Cpu>(queue, d, x, scale, statistics, of, dx.view(), dshift.view(), dscale.view());
  CHECK(differs(x, dx, 2, modulate) < 1e-8);
  CHECK(differs(shift, dshift, 2, modulate) < 1e-8);
  CHECK(differs(scale, dscale, 2, modulate) < 1e-8);
  const auto gate = [&] { ops::add_gated<double, Cpu>(queue, x, f, scale, of, y.view()); };
  ops::add_gated_backward<double, Cpu>(queue, d, f, scale, of, df.view(), dgate.view());
  CHECK(differs(f, df, 0, gate) < 1e-8);
  CHECK(differs(scale, dgate, 2, gate) < 1e-8);
}

TEST_CASE("rows beyond the condition's sequences are refused", "[modulation]") {
  Cpu::Queue queue;
  TestTensor<double> x({4, 2}), v({1, 2});
  CHECK_THROWS_AS((ops::add_gated<double, Cpu>(queue, x, x, v, {1, 4}, x.view())), Error);
}

TEST_CASE("silu, its gradient, features of a timestep and squared errors equal their formulas", "[conditioning]") {
  Cpu::Queue queue;
  TestTensor<double> x({3}, {-1.5, 0, 2}), y({3}), dy({3}, {1, 2, 3}), dx({3}, {1, 1, 1});
  ops::silu<double, Cpu>(queue, x, y.view());
  ops::silu_backward<double, Cpu>(queue, dy, x, dx.view());
  const auto f = [](double v) { return v / (1 + std::exp(-v)); };
  for (index_t i = 0; i < 3; ++i) {
    CHECK(y.at(i) == Approx(f(x.at(i))));
    CHECK(dx.at(i) == Approx(1 + dy.at(i) * (f(x.at(i) + 1e-5) - f(x.at(i) - 1e-5)) / 2e-5).epsilon(1e-8));
  }
  TestTensor<float> t({2}, {0.0f, 0.25f});
  TestTensor<double> features({2, 4});
  ops::timestep_features<double, Cpu>(queue, t, features.view());
  const double want[] = {1, 1, 0, 0, std::cos(250.0), std::cos(2.5), std::sin(250.0), std::sin(2.5)};
  for (index_t i = 0; i < 8; ++i) CHECK(features.at(i) == Approx(want[i]).margin(1e-12));
  TestTensor<double> p({2, 2}, {1, 2, 3, 4}), dp({2, 2}), loss({2});
  TestTensor<float> target({2, 2}, {0, 4, 3, 3});
  ops::squared_error<double, Cpu>(queue, p, target, 0.5, dp.view(), loss.view());
  CHECK(loss.values() == std::vector<double>{2.5, 0.5});
  CHECK(dp.values() == std::vector<double>{0.5, -1, 0, 0.5});
}

TEMPLATE_TEST_CASE("scale_rows multiplies rows, and a weight of 0 clears what is not finite", "[elementwise]", double,
                   float, bf16) {
  using T = TestType;
  Cpu::Queue queue;
  TestTensor<T> x({3, 5}, 2);
  x.randomise(1);
  TestTensor<float> w({3}, {0.5f, 0, -3});
  std::vector<double> want;
  for (index_t i = 0; i < 15; ++i) want.push_back(double(w.at(i / 5)) * double(x.at(i)));
  x.at(1, 2) = T(std::numeric_limits<Acc<T>>::infinity());
  ops::scale_rows<T, Cpu>(queue, x.view(), w);
  CHECK(test::max_error(x.values(), want) < test::tolerance<T>);
  CHECK(x.guards_intact());
}

TEST_CASE("what modulation and conditions cost", "[cost]") {
  const auto cost = [](auto&& operation) {
    Meta::Queue queue;
    operation(queue);
    CHECK(queue.operations == 1);
    return queue.total.bytes;
  };
  const TensorView<bf16, Meta> x(nullptr, {6, 8}), v(nullptr, {2, 8});
  const TensorView<float, Meta> s(nullptr, {6, 2}), t(nullptr, {2}), l(nullptr, {6}), to(nullptr, {6, 8});
  const double n = 48 * 2, b = 16 * 2;
  const SequenceRows of{0, 3};
  CHECK(cost([&](auto& q) { ops::modulate<bf16, Meta>(q, x, v, v, of, 0, x, s); }) == 2 * n + 2 * b + 48);
  CHECK(cost([&](auto& q) { ops::modulate_backward<bf16, Meta>(q, x, x, v, s, of, x, v, v); }) == 4 * n + 5 * b + 48);
  CHECK(cost([&](auto& q) { ops::add_gated<bf16, Meta>(q, x, x, v, of, x); }) == 3 * n + b);
  CHECK(cost([&](auto& q) { ops::add_gated_backward<bf16, Meta>(q, x, x, v, of, x, v); }) == 3 * n + 3 * b);
  CHECK(cost([&](auto& q) { ops::silu<bf16, Meta>(q, x, x); }) == 2 * n);
  CHECK(cost([&](auto& q) { ops::silu_backward<bf16, Meta>(q, x, x, x); }) == 4 * n);
  CHECK(cost([&](auto& q) { ops::timestep_features<bf16, Meta>(q, t, v); }) == 8 + b);
  CHECK(cost([&](auto& q) { ops::squared_error<bf16, Meta>(q, x, to, 1, x, l); }) == 2 * n + 48 * 4 + 24);
  CHECK(cost([&](auto& q) { ops::scale_rows<bf16, Meta>(q, x, l); }) == 2 * n + 24);
}
