#include "ashlar/config/config.hpp"

#include <limits>

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

TEST_CASE("a world that is too large to plan is refused, whatever its product would wrap to") {
  constexpr int huge = std::numeric_limits<int>::max();
  Config config;
  config.parallelism.tensor_parallel_degree = config.parallelism.pipeline_parallel_degree = 65536;
  CHECK_THROWS_WITH(planned_world_size(config), ContainsText("at most 16777216 ranks: lower"));
  config.parallelism = {.data_parallel_replicate_degree = huge,
                        .data_parallel_shard_degree = huge,
                        .tensor_parallel_degree = huge,
                        .pipeline_parallel_degree = huge};
  CHECK_THROWS_AS(planned_world_size(config), ConfigError);
  config.parallelism = {.tensor_parallel_degree = 4096, .pipeline_parallel_degree = 4096};
  CHECK(planned_world_size(config) == 4096 * 4096);
  config.plan.world_size = huge;
  CHECK_THROWS_WITH(planned_world_size(config), ContainsText("--plan.world_size"));
}
