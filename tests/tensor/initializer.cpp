#include "ashlar/core/initializer.hpp"

#include <vector>

#include "catch.hpp"

using namespace ashlar;

namespace {

struct Moments {
  double mean = 0, variance = 0, fourth = 0, largest = 0;
};

Moments moments(const Initializer& init, index_t n) {
  std::vector<double> x(static_cast<std::size_t>(n));
  InitialValues(init, 3, "w").fill(0, n, x.data());
  Moments m;
  for (double v : x) m.mean += v / static_cast<double>(n);
  for (double v : x) {
    const double d = v - m.mean;
    m.variance += d * d / static_cast<double>(n);
    m.fourth += d * d * d * d / static_cast<double>(n);
    m.largest = std::max(m.largest, std::abs(v));
  }
  return m;
}

constexpr index_t many = 200000;  // errors of the moments are near 1 / 450

}  // namespace

TEST_CASE("an element's value depends on seed, name and element, not on who draws it or how") {
  const auto init = Initializer::truncated_normal(1, 1.5);
  const InitialValues values(init, 7, "layers.0.w");
  std::vector<float> all(10000);
  values.fill(0, 10000, all.data());
  for (const index_t begin : {0, 1, 17, 4095, 4999})
    for (const index_t n : {1, 3, 31, 4097, 5000}) {
      std::vector<float> part(static_cast<std::size_t>(n));
      values.fill(begin, n, part.data());
      bool same = true;
      for (index_t i = 0; i < n; ++i)
        same &= part[static_cast<std::size_t>(i)] == all[static_cast<std::size_t>(begin + i)];
      CHECK(same);
    }
  const auto first = [&](std::uint64_t seed, const char* name) {
    float v = 0;
    InitialValues(init, seed, name).fill(0, 1, &v);
    return v;
  };
  CHECK(first(7, "layers.0.w") == all[0]);
  CHECK(first(8, "layers.0.w") != all[0]);
  CHECK(first(7, "layers.1.w") != all[0]);
}

TEST_CASE("a constant is a constant") {
  double x[3];
  InitialValues(Initializer::constant(1.25), 0, "w").fill(100, 3, x);
  for (double v : x) CHECK(v == 1.25);
}

TEST_CASE("a normal has its moments") {
  const Moments m = moments(Initializer::normal(2), many);
  CHECK(m.mean == Approx(0).margin(0.02));
  CHECK(m.variance == Approx(4).epsilon(0.015));
  CHECK(m.fourth == Approx(3 * 16).epsilon(0.04));
  CHECK(m.largest > 7);
}

TEST_CASE("neighbours, which share a counter, are independent") {
  std::vector<double> x(many);
  InitialValues(Initializer::normal(1), 5, "w").fill(0, many, x.data());
  for (const std::size_t lag : {1u, 2u, 3u, 4u}) {
    double products = 0, squares = 0;
    const std::size_t n = x.size() - lag;
    for (std::size_t i = 0; i < n; ++i) {
      products += x[i] * x[i + lag];
      squares += (x[i] * x[i] - 1) * (x[i + lag] * x[i + lag] - 1);
    }
    CHECK(products / static_cast<double>(n) == Approx(0).margin(0.012));  // its deviation is 1 / 447
    CHECK(squares / static_cast<double>(n) == Approx(0).margin(0.025));   // and 2 / 447
  }
}

TEST_CASE("a truncated normal has its moments and respects its cut") {
  // Of a standard normal cut at c: variance 1 - 2 c pdf(c) / (2 cdf(c) - 1).
  const double c = 1.5, mass = std::erf(c / std::sqrt(2)), pdf = std::exp(-c * c / 2) / std::sqrt(2 * std::acos(-1));
  const double variance = 1 - 2 * c * pdf / mass;
  const Moments m = moments(Initializer::truncated_normal(0.1, 0.15), many);
  CHECK(m.mean == Approx(0).margin(1e-3));
  CHECK(m.variance == Approx(0.01 * variance).epsilon(0.015));
  CHECK(m.largest <= 0.15);
  CHECK(m.largest > 0.1499);
  const Moments wide = moments(Initializer::truncated_normal(0.02, 2), many);  // a cut far away: plain normal
  CHECK(wide.variance == Approx(0.0004).epsilon(0.015));
  const Moments narrow = moments(Initializer::truncated_normal(1, 1e-3), 1000);  // drawn again to no avail: clamped
  CHECK(narrow.largest <= 1e-3);
}

TEST_CASE("a uniform has its moments and stays within its bound") {
  const Moments m = moments(Initializer::uniform(0.25), many);
  CHECK(m.mean == Approx(0).margin(1e-3));
  CHECK(m.variance == Approx(0.25 * 0.25 / 3).epsilon(0.01));
  CHECK(m.fourth == Approx(0.25 * 0.25 * 0.25 * 0.25 / 5).epsilon(0.015));
  CHECK(m.largest <= 0.25);
  CHECK(m.largest > 0.2499);
}
