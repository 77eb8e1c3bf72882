#include "ashlar/ops/gradient_norm/gradient_norm.hpp"

#include "catch.hpp"
#include "test_tensor.hpp"
#if defined(_OPENMP)
#include <omp.h>
#endif

using namespace ashlar;
using test::TestTensor;

namespace {
Cpu::Queue queue;

template <class A>
double sum_of_squares(TestTensor<A>& x, double start = 0) {
  TestTensor<double> sum({1}, {start});
  ops::sum_of_squares<A, Cpu>(queue, x, sum.view(), {});
  CHECK(sum.guards_intact());
  return sum.at(0);
}

template <class A>
TestTensor<A> clip(double squares, double max_norm) {
  TestTensor<double> sum({1}, {squares});
  TestTensor<A> out({3});
  out.at(2) = 5;
  ops::clip_scale<A, Cpu>(queue, sum, max_norm, out.view());
  CHECK(out.guards_intact());
  return out;
}
}  // namespace

TEMPLATE_TEST_CASE("sum_of_squares adds squares in double", "[gradient_norm]", double, float) {
  for (index_t n : {0, 1, 7, 64, 65, 4097, 300007, 1200001}) {
    TestTensor<TestType> x({n});
    x.randomise(1);
    long double want = 2.5;
    for (index_t i = 0; i < n; ++i) want += static_cast<long double>(x.at(i)) * static_cast<long double>(x.at(i));
    CHECK(sum_of_squares(x, 2.5) == Approx(double(want)).epsilon(1e-14));
  }
  TestTensor<TestType> x({5});
  x.fill(TestType(1e20));  // the squares don't fit in single precision
  CHECK(sum_of_squares(x) == Approx(5e40));
  x.at(3) = std::numeric_limits<TestType>::quiet_NaN();
  CHECK(std::isnan(sum_of_squares(x)));
}

#if defined(_OPENMP)
TEST_CASE("sum_of_squares doesn't depend on the number of threads", "[gradient_norm]") {
  TestTensor<float> x({1200001});
  x.randomise(1);
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  const double one = sum_of_squares(x);
  for (int n : {2, 3, 5}) {
    omp_set_num_threads(n);
    CHECK(sum_of_squares(x) == one);
  }
  omp_set_num_threads(threads);
}
#endif

TEMPLATE_TEST_CASE("clip_scale brings the norm down to the maximum", "[gradient_norm]", double, float) {
  using A = TestType;
  auto out = clip<A>(16, 1);
  CHECK(out.at(0) == 4);
  CHECK(out.at(1) == Approx(1 / (4 + 1e-6)).epsilon(1e-6));
  CHECK(out.at(2) == 5);
  CHECK(clip<A>(16, 8).at(1) == 1);
  CHECK(clip<A>(0, 1).at(0) == 0);
  CHECK(clip<A>(0, 1).at(1) == 1);
  CHECK(clip<A>(16, 0).at(1) == 1);
  CHECK(clip<A>(16, -1).at(1) == 1);
}

TEMPLATE_TEST_CASE("a norm that is not finite gives a scale that skips the step", "[gradient_norm]", double, float) {
  for (double squares : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()})
    for (double max_norm : {1.0, 0.0}) CHECK(std::isnan(clip<TestType>(squares, max_norm).at(1)));
  CHECK(std::isinf(clip<float>(1e100, 1).at(0)));  // finite in double, infinite as it is stored
  CHECK(std::isnan(clip<float>(1e100, 1).at(1)));
  CHECK(clip<float>(1e100, 1).at(2) == 6);  // a step more that is skipped
}
