#include "ashlar/parallel/pipeline/schedules/one_f_one_b.hpp"

#include "ashlar/parallel/pipeline/check.hpp"
#include "ashlar/parallel/pipeline/lower.hpp"
#include "catch.hpp"

using namespace ashlar;
using namespace ashlar::pipeline;

TEST_CASE("1F1B: valid, its bubble is GPipe's, and a rank holds min(m, p - rank) micro-batches") {
  for (int p : {1, 2, 3, 4, 8})
    for (int m = 1; m <= 17; ++m) {
      CAPTURE(p, m);
      const Schedule schedule = one_f_one_b(p, m);
      check_schedule(schedule);
      check_schedule(lower(schedule));
      for (const Timeline& timeline : {simulate(schedule), simulate(lower(schedule))}) {
        REQUIRE(timeline.makespan == 3 * (m + p - 1));
        REQUIRE(timeline.bubble == Approx((p - 1.0) / (m + p - 1)).margin(1e-12));
        for (int r = 0; r < p; ++r) REQUIRE(timeline.most_held[static_cast<std::size_t>(r)] == std::min(m, p - r));
      }
    }
}

TEST_CASE("1F1B: warm-up, one forward and one backward in turn, cool-down") {
  std::string text;
  const Schedule schedule = one_f_one_b(3, 5);
  for (const Action& a : schedule.actions[1]) text += to_string(a) + " ";
  REQUIRE(text == "1F0 1F1 1B0 1F2 1B1 1F3 1B2 1F4 1B3 1B4 ");
}
