#include "ashlar/models/llama4/llama4.hpp"

#include "goldens/golden.hpp"

TEST_CASE("Llama 4 is what transformers makes of the same weights") {
  ashlar::test::check_goldens<ashlar::Llama4>({"norms_scales", "stretched_two"});
}
