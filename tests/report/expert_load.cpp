#include "ashlar/report/expert_load.hpp"

#include <limits>
#include <vector>

#include "catch.hpp"

using namespace ashlar;

TEST_CASE("the load of experts: the extremes of all layers, the mean of their entropies, what is missing") {
  ExpertLoad load;
  load.add_layer(std::vector<double>{4, 4, 4, 4}, 16, 2);
  CHECK((load.least == 1 && load.most == 1 && load.dropped == 0));
  CHECK(load.entropy == Approx(0.5));  // one of two layers, and it is even
  load.add_layer(std::vector<double>{0, 6, 1, 1}, 10, 2);
  CHECK(load.least == 0);
  CHECK(load.most == 3);
  CHECK(load.dropped == 2);
  const double entropy = -(0.75 * std::log(0.75) + 2 * 0.125 * std::log(0.125)) / std::log(4.0);
  CHECK(load.entropy == Approx(0.5 + entropy / 2));
}

TEST_CASE("the load of one expert, and of a step without tokens, is finite where it can be") {
  ExpertLoad one, none;
  one.add_layer(std::vector<double>{5}, 5, 1);
  CHECK((one.least == 1 && one.most == 1 && one.entropy == 1));
  none.add_layer(std::vector<double>{0, 0}, 0, 1);
  CHECK((none.most == 0 && none.entropy == 0 && none.dropped == 0));
}
