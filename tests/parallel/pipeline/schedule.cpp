#include "ashlar/parallel/pipeline/schedule.hpp"

#include "catch.hpp"

using namespace ashlar;
using namespace ashlar::pipeline;

TEST_CASE("Schedules are found by name, in any case") {
  REQUIRE(find_schedule("1F1B").make(3, 5) == one_f_one_b(3, 5));
  REQUIRE(find_schedule("1f1b").name == "1F1B");
  REQUIRE(find_schedule("gpipe").make(3, 5) == gpipe(3, 5));
  REQUIRE(find_schedule("zbvzerobubble").stages_per_rank == 2);
  REQUIRE(find_schedule("ZBVZEROBUBBLE").make(2, 2) == zbv_zero_bubble(2, 2));
}

TEST_CASE("An unknown name is answered with the names that exist") {
  for (const char* name : {"", "1F1", "1F1BB", "Interleaved"})
    REQUIRE_THROWS_WITH(find_schedule(name),
                        concat("--parallelism.pipeline_parallel_schedule: there is no schedule named \"",
                               std::string(name), "\"; the names are GPipe, 1F1B, ZBVZeroBubble"));
  REQUIRE_THROWS_AS(find_schedule("x"), ConfigError);
}

TEST_CASE("A named schedule has the stages it says, and at least one of everything") {
  for (const NamedSchedule& named : named_schedules) {
    const Schedule schedule = named.make(3, 4);
    REQUIRE(schedule.ranks == 3);
    REQUIRE(schedule.stages == 3 * named.stages_per_rank);
    REQUIRE(schedule.micro_batches == 4);
    REQUIRE_THROWS_AS(named.make(0, 4), Error);
    REQUIRE_THROWS_AS(named.make(3, 0), Error);
  }
}
