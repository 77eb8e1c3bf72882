#include "ashlar/parallel/pipeline/action.hpp"

#include "catch.hpp"

using namespace ashlar;
using namespace ashlar::pipeline;

TEST_CASE("Actions as text") {
  REQUIRE(to_string(Action{Kind::forward, 3, 12}) == "3F12");
  REQUIRE(to_string(Action{Kind::backward_weight, 0, 1}) == "0W1");
  REQUIRE(to_string(Action{Kind::receive_backward, 2, 0}) == "2RB0");
}

TEST_CASE("Layouts: a loop and a V") {
  REQUIRE(loop_layout(3, 6) == std::vector<int>{0, 1, 2, 0, 1, 2});
  REQUIRE(v_layout(3) == std::vector<int>{0, 1, 2, 2, 1, 0});
  REQUIRE(v_layout(1) == std::vector<int>{0, 0});
}

TEST_CASE("Which boundaries cross ranks") {
  const Schedule schedule = empty_schedule(2, v_layout(2), 1);
  std::vector<bool> before, after;
  for (int s = 0; s < 4; ++s) {
    before.push_back(schedule.crosses_before(s));
    after.push_back(schedule.crosses_after(s));
  }
  REQUIRE(before == std::vector<bool>{false, true, false, true});
  REQUIRE(after == std::vector<bool>{true, false, true, false});
  REQUIRE(schedule.last(3));
  REQUIRE_FALSE(schedule.last(2));
}

TEST_CASE("A pipeline has ranks, stages and micro-batches") {
  REQUIRE_THROWS_AS(empty_schedule(0, {}, 1), Error);
  REQUIRE_THROWS_AS(empty_schedule(2, {0}, 1), Error);
  REQUIRE_THROWS_AS(empty_schedule(1, {0}, 0), Error);
}
