#include "ashlar/ops/swiglu/swiglu.hpp"

#include "catch.hpp"
#include "test_tensor.hpp"

using namespace ashlar;
using test::TestTensor;

namespace {
Cpu::Queue queue;
double sigmoid64(double x) {
  return 1 / (1 + std::exp(-x));
}
}  // namespace

TEMPLATE_TEST_CASE("swiglu and its gradient equal their formulas", "[swiglu]", double, float, bf16) {
  using T = TestType;
  for (index_t rows : {0, 1, 37, 600})
    for (index_t cols : {1, 7, 64, 65}) {
      const Shape shape{rows, cols};
      // gate and up as halves of one projection: rows of both are further apart than they are long.
      TestTensor<T> both({rows, 2 * cols}), h(shape), dh(shape), dgate(shape, 3), dup(shape);
      both.randomise(1, 4);
      dh.randomise(2);
      const auto gate = both.view().columns(0, cols), up = both.view().columns(cols, cols);
      ops::swiglu<T, Cpu>(queue, gate, up, h.view());
      ops::swiglu_backward<T, Cpu>(queue, dh, gate, up, dgate.view(), dup);
      std::vector<double> want_h, want_dgate, want_dup;
      for (index_t r = 0; r < rows; ++r)
        for (index_t c = 0; c < cols; ++c) {
          const double g = double(both.at(r, c)), u = double(both.at(r, cols + c)), d = double(dh.at(r, c));
          const double s = sigmoid64(g);
          want_h.push_back(g * s * u);
          want_dgate.push_back(d * u * s * (1 + g * (1 - s)));
          want_dup.push_back(d * g * s);
        }
      CHECK(test::max_error(h.values(), want_h) < test::tolerance<T>);
      CHECK(test::max_error(dgate.values(), want_dgate, 1) < test::tolerance<T>);
      CHECK(test::max_error(dup.values(), want_dup) < test::tolerance<T>);
      CHECK((h.guards_intact() && dgate.guards_intact() && dup.guards_intact()));
    }
}

TEMPLATE_TEST_CASE("swiglu works in place", "[swiglu]", float, bf16) {
  using T = TestType;
  const Shape shape{9, 65};
  TestTensor<T> gate(shape), up(shape), h(shape), dh(shape), dgate(shape), dup(shape);
  gate.randomise(1);
  up.randomise(2);
  dh.randomise(3);
  ops::swiglu<T, Cpu>(queue, gate, up, h.view());
  ops::swiglu_backward<T, Cpu>(queue, dh, gate, up, dgate.view(), dup);
  {
    TestTensor<T> a = gate, b = up;
    ops::swiglu<T, Cpu>(queue, a, up, a.view());
    ops::swiglu<T, Cpu>(queue, gate, b, b.view());
    CHECK((a.same_bits(h) && b.same_bits(h)));
  }
  {
    TestTensor<T> a = gate, b = up;
    ops::swiglu_backward<T, Cpu>(queue, dh, a, b, a.view(), b);
    CHECK((a.same_bits(dgate) && b.same_bits(dup)));
  }
  {
    TestTensor<T> a = dh, b = up;
    ops::swiglu_backward<T, Cpu>(queue, a, gate, b, a.view(), b);
    CHECK((a.same_bits(dgate) && b.same_bits(dup)));
  }
  {
    TestTensor<T> a = gate, b = dh;
    ops::swiglu_backward<T, Cpu>(queue, b, a, up, a.view(), b);
    CHECK((a.same_bits(dgate) && b.same_bits(dup)));
  }
}

TEST_CASE("swiglu saturates and lets NaN through", "[swiglu]") {
  const float inf = std::numeric_limits<float>::infinity();
  TestTensor<float> gate({8}, {0.0f, -0.0f, 20.0f, -20.0f, 100.0f, -100.0f, -inf, std::nanf("")}), up({8}), h({8});
  up.fill(1);
  ops::swiglu<float, Cpu>(queue, gate, up, h.view());
  CHECK(h.at(0) == 0);
  CHECK((h.at(1) == 0 && std::signbit(h.at(1))));
  CHECK(h.at(2) == 20);
  CHECK(h.at(3) == Approx(-20 * sigmoid64(-20)));
  CHECK(h.at(4) == 100);
  CHECK((h.at(5) == 0 && std::signbit(h.at(5))));
  CHECK(std::isnan(h.at(6)));
  CHECK(std::isnan(h.at(7)));
}

TEST_CASE("swiglu_backward is the derivative of swiglu", "[swiglu]") {
  const Shape shape{3, 5};
  TestTensor<double> gate(shape), up(shape), h(shape), dh(shape), dgate(shape), dup(shape);
  gate.randomise(1, 3);
  up.randomise(2);
  dh.randomise(3);
  const auto loss = [&] {
    ops::swiglu<double, Cpu>(queue, gate, up, h.view());
    return test::inner(h, dh);
  };
  const auto want_dgate = test::finite_differences(gate, loss), want_dup = test::finite_differences(up, loss);
  ops::swiglu_backward<double, Cpu>(queue, dh, gate, up, dgate.view(), dup);
  CHECK(test::max_error(dgate.values(), want_dgate, 1) < 1e-8);
  CHECK(test::max_error(dup.values(), want_dup, 1) < 1e-8);
}
