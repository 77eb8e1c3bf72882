#include "ashlar/train/config.hpp"

#include "catch.hpp"

using namespace ashlar;

TEST_CASE("the world to plan is the product of the degrees, unless it is given") {
  Config config;
  CHECK(planned_world_size(config) == 1);  // a shard degree of -1 counts as 1
  config.parallelism = {.data_parallel_replicate_degree = 2,
                        .data_parallel_shard_degree = 4,
                        .tensor_parallel_degree = 8,
                        .pipeline_parallel_degree = 3,
                        .expert_parallel_degree = 16};
  CHECK(planned_world_size(config) == 2 * 4 * 8 * 3);  // experts borrow ranks
  config.plan.world_size = 512;
  CHECK(planned_world_size(config) == 512);
}
