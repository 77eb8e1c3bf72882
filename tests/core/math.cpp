#include "ashlar/core/math.hpp"

#include <algorithm>
#include <limits>

#include "catch.hpp"

using namespace ashlar;

TEST_CASE("fast_exp is within 2 ulp of e^x", "[math]") {
  double worst = 0;
  for (std::uint32_t bits = 0; bits < 0xfff00000u; bits += 1009) {
    const float x = std::bit_cast<float>(bits);
    if (!(x > -87.3f && x < 88.72f)) continue;
    const double want = std::exp(static_cast<double>(x));
    const double ulp = std::nextafter(static_cast<float>(want), std::numeric_limits<float>::infinity()) - want;
    const double spacing = std::max(std::abs(ulp), want * 0x1p-24);
    worst = std::max(worst, std::abs(fast_exp(x) - want) / spacing);
  }
  CHECK(worst < 2);
  CHECK(fast_exp(0.0f) == 1.0f);
  CHECK(fast_exp(1.25) == std::exp(1.25));
}

TEST_CASE("fast_exp overflows to infinity, underflows to zero and keeps NaN", "[math]") {
  const float infinity = std::numeric_limits<float>::infinity();
  for (float x : {88.73f, 89.0f, 1e4f, 3e38f, infinity}) CHECK(fast_exp(x) == infinity);
  for (float x : {-104.0f, -1e4f, -3e38f, -infinity}) CHECK(fast_exp(x) == 0.0f);
  CHECK(std::isfinite(fast_exp(88.72f)));
  CHECK(std::isnan(fast_exp(std::numeric_limits<float>::quiet_NaN())));
  CHECK(std::isnan(fast_exp(-std::numeric_limits<float>::quiet_NaN())));
  for (float x : {-88.0f, -95.0f, -103.0f})  // results that are subnormal
    CHECK(std::abs(fast_exp(x) - std::exp(static_cast<double>(x))) <= std::numeric_limits<float>::denorm_min());
}

TEMPLATE_TEST_CASE("sigmoid saturates without overflow", "[math]", float, double) {
  using A = TestType;
  CHECK(sigmoid(A(0)) == A(0.5));
  CHECK(sigmoid(A(1000)) == 1);
  CHECK(sigmoid(A(-1000)) == 0);
  CHECK(std::isnan(sigmoid(std::numeric_limits<A>::quiet_NaN())));
  for (double x : {-80.0, -3.0, -0.1, 0.7, 15.0}) CHECK(sigmoid(A(x)) == Approx(1 / (1 + std::exp(-x))).epsilon(3e-7));
}

TEST_CASE("fast_sqrt, fast_log and fast_cos_turns are within what they promise", "[math]") {
  double root = 0, logarithm = 0, cosine = 0;
  for (std::uint32_t bits = 0x00800000u; bits < 0x7f800000u; bits += 10007) {  // normal numbers above 0
    const float x = std::bit_cast<float>(bits);
    const double want = std::sqrt(static_cast<double>(x)), log = std::log(static_cast<double>(x));
    root = std::max(root, std::abs(fast_sqrt(x) - want) / (want * 0x1p-23));
    logarithm = std::max(logarithm, std::abs(fast_log(x) - log) / std::max(1e-7, std::abs(log) * 0x1p-22));
  }
  for (int i = 0; i <= 100000; ++i) {
    const float t = static_cast<float>(i) / 100000;
    cosine = std::max(cosine, std::abs(fast_cos_turns(t) - std::cos(2 * 3.14159265358979323846 * t)));
  }
  CHECK(root <= 1);
  CHECK(logarithm <= 1);
  CHECK(cosine <= 2e-7);
  CHECK(fast_sqrt(std::numeric_limits<float>::infinity()) == std::numeric_limits<float>::infinity());
  CHECK(std::isnan(fast_sqrt(std::numeric_limits<float>::quiet_NaN())));
  CHECK(fast_sqrt(0.0f) == 0);
}
