// The rules that come with the library keep the laws of rules.
#include "optim/rule_laws.hpp"

using namespace ashlar;

TEST_CASE("AdamW keeps the laws of rules", "[rules]") {
  test::rule_laws<AdamW>();
}

TEST_CASE("Adam keeps the laws of rules", "[rules]") {
  test::rule_laws<Adam>();
}

TEST_CASE("Muon keeps the laws of rules", "[rules]") {
  test::rule_laws<Muon>();
}

TEST_CASE("Muon's scale: steps of all shapes alike, or as large as AdamW's", "[rules]") {
  using Bench = test::RuleBench<Muon, double>;
  OptimizerConfig original, matched;
  original.weight_decay = matched.weight_decay = 0;
  matched.adjust_lr = "match_rms_adamw";
  Bench start({}), a({}, {}, original), b({}, {}, matched);
  a.step(1, 1);
  b.step(1, 1);
  const auto at_first = start.collected(), x = a.collected(), y = b.collected();
  const std::map<std::string, std::pair<double, double>> scales{
      {"rows", {1, 0.2 * std::sqrt(10.0)}},                     // [8, 10]
      {"columns", {std::sqrt(9.0 / 6), 0.2 * std::sqrt(9.0)}},  // [9, 6]
      {"stack", {1, 0.2 * std::sqrt(6.0)}}};                    // [4, 6], three times
  for (const auto& [name, scale] : scales) {
    INFO(name);
    double squares = 0;
    for (std::size_t i = 0; i < x.at(name).size(); ++i) {
      const double step = x.at(name)[i] - at_first.at(name)[i];
      squares += step * step;
      CHECK(y.at(name)[i] - at_first.at(name)[i] ==
            Approx(step * scale.second / scale.first).epsilon(1e-9).margin(1e-12));
    }
    // All singular values near 1: the square of the norm is near their number, which is the smaller side.
    const double sides = name == "rows" ? 8 : name == "columns" ? 6 : 3 * 4;
    CHECK(squares / (scale.first * scale.first) > 0.4 * sides);
    CHECK(squares / (scale.first * scale.first) < 1.4 * sides);
  }
}
