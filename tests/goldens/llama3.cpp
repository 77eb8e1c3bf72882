#include "ashlar/models/llama3/llama3.hpp"

#include "goldens/golden.hpp"

TEST_CASE("Llama 3 is what transformers makes of the same weights") {
  ashlar::test::check_goldens<ashlar::Llama3>({"plain", "grouped_tied_stretched", "odd_yarn"});
}
