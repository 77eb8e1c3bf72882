#include "ashlar/models/deepseek_v3/deepseek_v3.hpp"

#include "goldens/golden.hpp"

TEST_CASE("DeepSeek-V3 and V2 are what transformers makes of the same weights") {
  ashlar::test::check_goldens<ashlar::DeepSeekV3>({"groups_yarn", "low_rank", "v2_groups"});
}
