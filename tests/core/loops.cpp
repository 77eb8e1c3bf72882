#include "ashlar/core/loops.hpp"

#include <cmath>
#include <vector>

#include "catch.hpp"
#if defined(_OPENMP)
#include <omp.h>
#endif

using namespace ashlar;

TEST_CASE("lane_sum and chunked_sum add every term once", "[parallel]") {
  for (index_t n : {0, 1, 15, 16, 17, 255, 4096, 4097, 65537, 1048577, 1100001}) {
    const auto term = [](index_t i) { return static_cast<double>(i % 1000 + 1); };
    double want = 0;
    for (index_t i = 0; i < n; ++i) want += term(i);
    CHECK(lane_sum<double>(n, term) == want);
    CHECK(chunked_sum<double>(n, term) == want);
  }
}

TEST_CASE("lane_sum loses less than a plain loop", "[parallel]") {
  const index_t n = 1 << 22;
  const auto term = [](index_t) { return 0.1f; };
  float plain = 0;
  for (index_t i = 0; i < n; ++i) plain += term(i);
  const double want = 0.1f * static_cast<double>(n);
  CHECK(std::abs(lane_sum<float>(n, term) - want) < std::abs(plain - want) / 8);
}

#if defined(_OPENMP)
TEST_CASE("chunked_sum doesn't depend on the number of threads", "[parallel]") {
  std::vector<float> x(700001);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = 1.0f / static_cast<float>(i + 1);
  const auto sum = [&] {
    return chunked_sum<float>(static_cast<index_t>(x.size()),
                              [&](index_t i) { return x[static_cast<std::size_t>(i)]; });
  };
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  const float one = sum();
  for (int n : {2, 3, 7}) {
    omp_set_num_threads(n);
    CHECK(sum() == one);
  }
  omp_set_num_threads(threads);
}
#endif
