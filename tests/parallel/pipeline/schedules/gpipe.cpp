#include "ashlar/parallel/pipeline/schedules/gpipe.hpp"

#include "ashlar/parallel/pipeline/check.hpp"
#include "ashlar/parallel/pipeline/lower.hpp"
#include "catch.hpp"

using namespace ashlar;
using namespace ashlar::pipeline;

TEST_CASE("GPipe: valid, its bubble is (p - 1) / (m + p - 1), and it holds all micro-batches") {
  for (int p : {1, 2, 3, 4, 8})
    for (int m = 1; m <= 17; ++m) {
      CAPTURE(p, m);
      const Schedule schedule = gpipe(p, m);
      check_schedule(schedule);
      check_schedule(lower(schedule));
      for (const Timeline& timeline : {simulate(schedule), simulate(lower(schedule))}) {
        REQUIRE(timeline.makespan == 3 * (m + p - 1));
        REQUIRE(timeline.bubble == Approx((p - 1.0) / (m + p - 1)).margin(1e-12));
        for (int held : timeline.most_held) REQUIRE(held == m);
      }
    }
}

TEST_CASE("GPipe: all forwards, then all backwards") {
  const Schedule schedule = gpipe(2, 2);
  const std::vector<Action> expected{
      {Kind::forward, 1, 0}, {Kind::forward, 1, 1}, {Kind::backward, 1, 0}, {Kind::backward, 1, 1}};
  REQUIRE(schedule.actions[1] == expected);
}
