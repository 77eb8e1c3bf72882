#include "ashlar/parallel/pipeline/timeline.hpp"

#include "ashlar/parallel/pipeline/lower.hpp"
#include "ashlar/parallel/pipeline/schedule.hpp"
#include "catch.hpp"

using namespace ashlar;
using namespace ashlar::pipeline;

TEST_CASE("A timeline by hand: two ranks, one micro-batch") {
  const Timeline timeline = simulate(one_f_one_b(2, 1));
  REQUIRE(timeline.begin == std::vector<std::vector<int>>{{0, 4}, {1, 2}});
  REQUIRE(timeline.makespan == 6);
  REQUIRE(timeline.bubble == Approx(0.5));
  REQUIRE(timeline.most_held == std::vector<int>{1, 1});
}

TEST_CASE("Costs count: the bubble of 1F1B is the same for any, its time is not") {
  for (const UnitCosts costs : {UnitCosts{1, 1, 1}, UnitCosts{2, 3, 1}, UnitCosts{5, 1, 1}}) {
    const Timeline timeline = simulate(one_f_one_b(4, 8), costs);
    REQUIRE(timeline.makespan == (costs.forward + costs.backward_input + costs.backward_weight) * 11);
    REQUIRE(timeline.bubble == Approx(3.0 / 11));
  }
}

TEST_CASE("Messages take no time: lowering changes no beginning") {
  for (const NamedSchedule& named : named_schedules) {
    const Schedule schedule = named.make(3, 5), lowered = lower(schedule);
    const Timeline plain = simulate(schedule), with_messages = simulate(lowered);
    for (std::size_t r = 0; r < lowered.actions.size(); ++r) {
      std::vector<int> begin;
      for (std::size_t i = 0; i < lowered.actions[r].size(); ++i)
        if (is_compute(lowered.actions[r][i].kind)) begin.push_back(with_messages.begin[r][i]);
      REQUIRE(begin == plain.begin[r]);
    }
    REQUIRE(with_messages.bubble == Approx(plain.bubble).margin(1e-12));
  }
}

TEST_CASE("A deadlock leaves actions without a beginning") {
  Schedule schedule = one_f_one_b(2, 2);
  std::swap(schedule.actions[1][0], schedule.actions[1][1]);  // the backward before its forward
  const Timeline timeline = simulate(schedule);
  REQUIRE(timeline.begin[0] == std::vector<int>{0, 1, -1, -1});
  REQUIRE(timeline.begin[1] == std::vector<int>{-1, -1, -1, -1});
}

TEST_CASE("Validation's forwards run on paper too") {
  const Timeline timeline = simulate(forward_only(gpipe(3, 4)));
  REQUIRE(timeline.makespan == 6);
  REQUIRE(timeline.bubble == Approx(2.0 / 6));
}
