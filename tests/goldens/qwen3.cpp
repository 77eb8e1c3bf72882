#include "ashlar/models/qwen3/qwen3.hpp"

#include "goldens/golden.hpp"

TEST_CASE("Qwen3 is what transformers makes of the same weights") {
  ashlar::test::check_goldens<ashlar::Qwen3>({"tied", "yarn", "experts", "experts_loss"});
}
