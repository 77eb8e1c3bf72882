#include "ashlar/parallel/pipeline/lower.hpp"

#include "ashlar/parallel/pipeline/csv.hpp"
#include "ashlar/parallel/pipeline/schedule.hpp"
#include "catch.hpp"

using namespace ashlar;
using namespace ashlar::pipeline;

namespace {

std::string text(const std::vector<Action>& actions) {
  std::string out;
  for (const Action& a : actions) out += (out.empty() ? "" : " ") + to_string(a);
  return out;
}

}  // namespace

TEST_CASE("A receive stands before its action and a send behind") {
  const Schedule lowered = lower(one_f_one_b(3, 1));
  REQUIRE(text(lowered.actions[0]) == "0F0 0SF0 0RB0 0B0");
  REQUIRE(text(lowered.actions[1]) == "1RF0 1F0 1SF0 1RB0 1B0 1SB0");
  REQUIRE(text(lowered.actions[2]) == "2RF0 2F0 2B0 2SB0");
  REQUIRE_THROWS_AS(lower(lowered), Error);
}

TEST_CASE("Receives keep the order of the sends, each as late as that allows") {
  const Schedule lowered = lower(parse_csv("0F0,0F1,0F2,0B1,0B0,0B2\n1F2,1F0,1F1,1B1,1B2,1B0\n", "x"));
  REQUIRE(text(lowered.actions[0]) == "0F0 0SF0 0F1 0SF1 0F2 0SF2 0RB1 0B1 0RB2 0RB0 0B0 0B2");
  REQUIRE(text(lowered.actions[1]) == "1RF0 1RF1 1RF2 1F2 1F0 1F1 1B1 1SB1 1B2 1SB2 1B0 1SB0");
}

TEST_CASE("Stages of one rank exchange no messages") {
  REQUIRE(lower(zbv_zero_bubble(1, 3)) == zbv_zero_bubble(1, 3));
  const Schedule lowered = lower(zbv_zero_bubble(2, 1));  // rank 1 has stages 1 and 2
  REQUIRE(text(lowered.actions[1]) == "1RF0 1F0 2F0 2SF0 2RB0 2I0 1I0 1SB0 1W0 2W0");
}

TEST_CASE("Validation runs the forwards of any schedule") {
  const Schedule schedule = forward_only(lower(one_f_one_b(2, 3)));
  REQUIRE(text(schedule.actions[0]) == "0F0 0SF0 0F1 0SF1 0F2 0SF2");
  REQUIRE(text(schedule.actions[1]) == "1RF0 1F0 1RF1 1F1 1RF2 1F2");
  REQUIRE(schedule == lower(forward_only(one_f_one_b(2, 3))));
}
