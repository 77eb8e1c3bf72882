#include "ashlar/parallel/pipeline/schedules/zbv.hpp"

#include "ashlar/parallel/pipeline/check.hpp"
#include "ashlar/parallel/pipeline/lower.hpp"
#include "ashlar/parallel/pipeline/schedules/one_f_one_b.hpp"
#include "catch.hpp"

using namespace ashlar;
using namespace ashlar::pipeline;

TEST_CASE("ZBV: valid for any number of micro-batches, within 2 p stage activations a rank") {
  for (int p : {1, 2, 3, 4, 8})
    for (int m = 1; m <= 17; ++m) {
      CAPTURE(p, m);
      const Schedule schedule = zbv_zero_bubble(p, m);
      check_schedule(schedule);
      check_schedule(lower(schedule));
      const Timeline timeline = simulate(schedule);
      REQUIRE(simulate(lower(schedule)).makespan == timeline.makespan);
      for (int held : timeline.most_held) REQUIRE(held <= 2 * p);
      REQUIRE(timeline.makespan >= std::max(6 * m + p - 1, 4 * p + 1));
      // Half-size stages: 3 units of 1F1B's time are 6 of these. Never slower than 1F1B.
      REQUIRE(timeline.makespan <= 2 * simulate(one_f_one_b(p, m)).makespan);
    }
}

TEST_CASE("ZBV: from 2 p micro-batches on, at most p / 4 units above the least possible time, 6 m + p - 1") {
  for (int p : {1, 2, 3, 4, 5, 6, 7, 8, 12, 16})
    for (int m : {2 * p, 2 * p + 1, 2 * p + 2, 3 * p, 4 * p - 1, 6 * p, 20 * p}) {
      CAPTURE(p, m);
      const Timeline timeline = simulate(zbv_zero_bubble(p, m));
      const int least = 6 * m + p - 1;
      REQUIRE(timeline.makespan - least <= p / 4);
      REQUIRE((p > 4 || timeline.makespan == least));
      REQUIRE(timeline.bubble == Approx(1 - 6.0 * m / timeline.makespan).margin(1e-12));
    }
}

TEST_CASE("ZBV: with one micro-batch it takes its chain of dependencies") {
  for (int p : {1, 2, 3, 4, 8}) REQUIRE(simulate(zbv_zero_bubble(p, 1)).makespan == std::max(p + 5, 4 * p + 1));
}

TEST_CASE("ZBV: stages in a V, micro-batches in order for each kind") {
  const Schedule schedule = zbv_zero_bubble(3, 7);
  REQUIRE(schedule.stage_to_rank == std::vector<int>{0, 1, 2, 2, 1, 0});
  for (int stage = 0; stage < 6; ++stage)
    for (Kind kind : {Kind::forward, Kind::backward_input, Kind::backward_weight}) {
      int next = 0;
      for (const Action& a : schedule.actions[static_cast<std::size_t>(schedule.rank_of(stage))])
        if (a.stage == stage && a.kind == kind) REQUIRE(a.micro_batch == next++);
      REQUIRE(next == 7);
    }
}
