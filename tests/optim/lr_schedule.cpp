#include "ashlar/optim/lr_schedule.hpp"

#include <vector>

#include "catch.hpp"

using namespace ashlar;

namespace {

std::vector<double> factors(const LrSchedule& schedule, int steps) {
  std::vector<double> out;
  for (int i = 0; i < steps; ++i) out.push_back(schedule.factor(i));
  return out;
}

void check_factors(const LrScheduleOptions& options, const std::vector<double>& expected) {
  const std::vector<double> found = factors(LrSchedule(options), static_cast<int>(expected.size()));
  for (std::size_t i = 0; i < expected.size(); ++i) {
    INFO("after " << i << " steps");
    CHECK(found[i] == Approx(expected[i]).epsilon(1e-14));
  }
}

}  // namespace

TEST_CASE("the published schedules of ten steps") {
  check_factors({.base = 0.1, .steps = 10, .warmup_steps = 2},
                {.5, 1, 1, 7. / 8, 6. / 8, 5. / 8, 4. / 8, 3. / 8, 2. / 8, 1. / 8});
  check_factors({.base = 0.1, .steps = 10, .warmup_steps = 2, .decay_ratio = .5}, {.5, 1, 1, 1, 1, 1, .8, .6, .4, .2});
  check_factors({.base = 0.1, .steps = 5, .warmup_steps = 10}, {.2, .4, .6, .8, 1});
  check_factors({.base = 0.1, .steps = 10, .warmup_steps = 2, .decay_ratio = 0.}, {.5, 1, 1, 1, 1, 1, 1, 1, 1, 1});
  check_factors({.base = 0.1, .steps = 10, .warmup_steps = 5, .decay_ratio = .8},
                {.2, .4, .6, .8, 1, 1, .8, .6, .4, .2});
  CHECK(LrSchedule({.base = 0.1, .steps = 10, .warmup_steps = 2, .min_factor = .2}).factor(10) == .2);
}

TEST_CASE("the rate of a step is the base rate times the factor of the steps before it") {
  const LrSchedule schedule({.base = 0.1, .steps = 10, .warmup_steps = 2});
  CHECK(schedule.rate(1) == Approx(0.05));
  CHECK(schedule.rate(3) == Approx(0.1));
  CHECK(schedule.rate(10) == Approx(0.0125));
}

TEST_CASE("the last step is above the floor, the schedule's end is the floor exactly") {
  for (Decay decay : {Decay::linear, Decay::sqrt, Decay::cosine}) {
    INFO(to_string(decay));
    const LrSchedule schedule({.steps = 100, .warmup_steps = 7, .decay = decay, .min_factor = 0.1});
    CHECK(schedule.factor(99) > 0.1);
    CHECK(schedule.factor(100) == 0.1);
    CHECK(schedule.factor(1000) == 0.1);
    for (int i = 7; i < 100; ++i) CHECK(schedule.factor(i) >= schedule.factor(i + 1));
  }
  const LrSchedule no_decay({.steps = 4, .warmup_steps = 4});
  CHECK(no_decay.factor(4) == 1.0);
  CHECK(no_decay.factor(9) == 1.0);
}

TEST_CASE("each decay has its shape") {
  // No warm-up, four steps: one constant step, then progress 1/4, 2/4, 3/4.
  const auto factor = [](Decay decay, int i) { return LrSchedule({.steps = 4, .decay = decay}).factor(i); };
  CHECK(factor(Decay::linear, 0) == 1.0);
  CHECK(factor(Decay::linear, 1) == Approx(0.75));
  CHECK(factor(Decay::sqrt, 1) == Approx(0.5));
  CHECK(factor(Decay::cosine, 1) == Approx(0.8535533905932737));
  CHECK(factor(Decay::cosine, 2) == Approx(0.5));
}

TEST_CASE("the length of the decay rounds halves to even") {
  const auto decay_steps = [](int steps, double ratio) {
    return LrSchedule({.steps = steps, .decay_ratio = ratio}).decay_steps();
  };
  CHECK(decay_steps(5, 0.5) == 2);  // 2.5
  CHECK(decay_steps(7, 0.5) == 4);  // 3.5
  CHECK(decay_steps(10, 0.26) == 3);
  CHECK(decay_steps(10, 0.24) == 2);
  CHECK(decay_steps(10, 1.0) == 10);
}

TEST_CASE("what is cut to the run is said") {
  CHECK(LrSchedule({.steps = 10, .warmup_steps = 2, .decay_ratio = .5}).warnings().empty());
  const LrSchedule long_warmup({.steps = 5, .warmup_steps = 10});
  REQUIRE(long_warmup.warnings().size() == 1);
  CHECK(long_warmup.warnings()[0] ==
        "lr_scheduler.warmup_steps is 10, but the run has 5 steps: the warm-up takes all of them");
  CHECK(long_warmup.warmup_steps() == 5);
  const LrSchedule long_decay({.steps = 10, .warmup_steps = 5, .decay_ratio = .8});
  REQUIRE(long_decay.warnings().size() == 1);
  CHECK(long_decay.decay_steps() == 5);
}

TEST_CASE("a schedule that can't be is refused") {
  CHECK_THROWS_AS(LrSchedule({.steps = 0}), ConfigError);
  CHECK_THROWS_AS(LrSchedule({.steps = 5, .warmup_steps = -1}), ConfigError);
  CHECK_THROWS_AS(LrSchedule({.steps = 5, .decay_ratio = 1.5}), ConfigError);
  CHECK_THROWS_AS(LrSchedule({.steps = 5, .min_factor = -0.1}), ConfigError);
  CHECK_THROWS_AS(decay_from("cosin"), ConfigError);
  CHECK(decay_from("cosine") == Decay::cosine);
}
