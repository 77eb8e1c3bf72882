#include "ashlar/report/compare.hpp"

#include <vector>

#include "catch.hpp"

using namespace ashlar;

TEST_CASE("how far apart values are") {
  const std::vector<double> zeros(4), b{3, 0, 0, 0}, a{3, 0, 0.3, 0}, nan{3, 0, NAN, 0};
  CHECK(distance(b, b).relative == 0);
  CHECK(distance(a, b).relative == Approx(0.2));  // the root mean square of b is 1.5
  CHECK(distance(a, b).at == 2);
  CHECK(distance({b.data(), 1}, {a.data() + 2, 1}).relative == Approx(9));
  CHECK(std::isinf(distance(nan, b).relative));
  CHECK(std::isinf(distance(b, nan).relative));
  CHECK(std::isinf(distance(b, zeros).relative));
  CHECK(distance(zeros, zeros).relative == 0);
  CHECK(distance_moved(a, b, b).relative == 1);
  CHECK(distance_moved(a, b, zeros).relative == Approx(0.3 / std::sqrt(9.09)));
  CHECK(distance_moved(b, b, b).relative == 0);
  CHECK(std::isinf(distance_moved(nan, b, zeros).relative));
  CHECK(element_of({{2, 3}, {4, 5}}, 11) == Shape{4, 4});
  CHECK(default_tolerance(DType::f64) == Approx(5.96e-8).epsilon(0.01));
  CHECK(default_tolerance(DType::f32) == Approx(1.38e-3).epsilon(0.01));
  CHECK(default_tolerance(DType::bf16) == Approx(0.354).epsilon(0.01));
}

TEST_CASE("the first difference in words") {
  Difference d{3, "layers.1.attention.query", Moment::backward, {64, 32}, {13, 7}, 0.5, -0.25, 3, 1e-3, 2, 1};
  CHECK(to_string(d) ==
        "step 3: the first difference is in layers.1.attention.query (backward), element [13, 7] of [64, 32]: 0.5 on "
        "rank 2, micro-batch 1, where the reference has -0.25; the relative difference 3 is above the tolerance 0.001");
  d.moment = Moment::after_step;
  d.micro_batch = -1;
  CHECK(to_string(d).find("(after the step), element [13, 7] of [64, 32]: 0.5 on rank 2, where") != std::string::npos);
}
