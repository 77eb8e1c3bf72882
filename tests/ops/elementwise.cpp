#include "ashlar/ops/elementwise/elementwise.hpp"

#include "catch.hpp"
#include "test_tensor.hpp"

using namespace ashlar;
using test::TestTensor;

namespace {
Cpu::Queue queue;
}

TEMPLATE_TEST_CASE("add rounds the sum once, also in place", "[elementwise]", double, float, bf16) {
  using T = TestType;
  for (index_t n : {0, 1, 7, 65, 40001}) {
    TestTensor<T> a({n}), b({n}), out({n});
    a.randomise(1);
    b.randomise(2);
    ops::add<T, Cpu>(queue, a, b, out.view());
    bool exact = true;
    for (index_t i = 0; i < n; ++i) exact &= double(out.at(i)) == double(T(Acc<T>(a.at(i)) + Acc<T>(b.at(i))));
    CHECK(exact);
    CHECK(out.guards_intact());
    TestTensor<T> left = a, right = b;
    ops::add<T, Cpu>(queue, left, b, left.view());
    ops::add<T, Cpu>(queue, a, right, right.view());
    CHECK((left.same_bits(out) && right.same_bits(out)));
  }
}

TEMPLATE_TEST_CASE("scale multiplies in place and rounds once", "[elementwise]", double, float, bf16) {
  using T = TestType;
  for (const index_t n : {0, 1, 5, 40000}) {
    TestTensor<T> x({n}), before({n});
    x.randomise(3);
    before.randomise(3);
    Cpu::Queue queue;
    ops::scale<T, Cpu>(queue, x.view(), 1.5);
    bool same = true;
    for (index_t i = 0; i < n; ++i) same &= x.at(i) == T(Acc<T>(before.at(i)) * Acc<T>(1.5));
    CHECK(same);
  }
}

TEST_CASE("cast rounds to nearest even and keeps what fits", "[elementwise]") {
  const float inf = std::numeric_limits<float>::infinity();
  TestTensor<float> x({9}, {1.0f, 0x1.01p0f, 0x1.03p0f, 0x1.010002p0f, -0.0f, inf, -inf, std::nanf(""), 3.4e38f});
  TestTensor<bf16> narrow({9});
  TestTensor<float> back({9});
  ops::cast<float, bf16, Cpu>(queue, x, narrow.view());
  ops::cast<bf16, float, Cpu>(queue, narrow, back.view());
  CHECK(back.at(0) == 1.0f);
  CHECK(back.at(1) == 1.0f);       // a tie: to the even neighbour below
  CHECK(back.at(2) == 0x1.04p0f);  // a tie: to the even neighbour above
  CHECK(back.at(3) == 0x1.02p0f);
  CHECK((back.at(4) == 0 && std::signbit(back.at(4))));
  CHECK((back.at(5) == inf && back.at(6) == -inf && std::isnan(back.at(7))));
  CHECK(back.at(8) == inf);
  CHECK((narrow.guards_intact() && back.guards_intact()));

  TestTensor<double> wide({40001}), again({40001});
  TestTensor<float> single({40001});
  wide.randomise(1);
  ops::cast<double, float, Cpu>(queue, wide, single.view());
  ops::cast<float, double, Cpu>(queue, single, again.view());
  bool exact = true;
  for (index_t i = 0; i < wide.count(); ++i) exact &= again.at(i) == double(float(wide.at(i)));
  CHECK(exact);
}

TEMPLATE_TEST_CASE("sum adds to the total in double", "[elementwise]", double, float) {
  for (index_t n : {0, 1, 7, 65, 1200001}) {
    TestTensor<TestType> x({n});
    x.randomise(1);
    long double want = -3;
    for (index_t i = 0; i < n; ++i) want += x.at(i);
    TestTensor<double> total({1}, {-3.0});
    ops::sum<TestType, Cpu>(queue, x, total.view(), {});
    CHECK(total.at(0) == Approx(double(want)).epsilon(1e-12));
    CHECK(total.guards_intact());
  }
}

TEMPLATE_TEST_CASE("count_non_finite adds the number of NaN and infinite elements", "[elementwise]", double, float,
                   bf16) {
  using T = TestType;
  for (index_t n : {0, 1, 65, 40001}) {
    TestTensor<T> x({n});
    TestTensor<std::int32_t> count({1}, {5});
    x.randomise(1);
    std::int32_t want = 5;
    for (index_t i = 0; i < n; i += 13, ++want)
      x.at(i) = T(i % 3 == 0   ? std::numeric_limits<float>::quiet_NaN()
                  : i % 3 == 1 ? std::numeric_limits<float>::infinity()
                               : -std::numeric_limits<float>::infinity());
    if (n > 2) x.at(1) = T(std::numeric_limits<float>::max() / 2);
    ops::count_non_finite<T, Cpu>(queue, x, count.view());
    CHECK(count.at(0) == want);
    CHECK(count.guards_intact());
  }
}
