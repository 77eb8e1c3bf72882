// Every legal layout of 1, 2, 4 and 8 ranks over ddp, fsdp, tp and pp, against one rank.
#include <cstdlib>
#include <fstream>

#include "train/equivalence.hpp"

using namespace equivalence;

TEST_CASE("a comparison sees a NaN wherever it stands") {
  const Run good{{2, 1}, {1, 1}, {{"a", {1}}, {"b", {1}}}};
  CHECK(compare(good, good).loss == 0);
  for (const std::size_t at : {0, 1}) {
    Run bad = good;
    bad.losses[at] = bad.norms[at] = NAN;
    bad.tensors[at == 0 ? "a" : "b"] = {NAN};
    const Difference d = compare(good, bad);
    CHECK(std::isnan(d.loss));
    CHECK(std::isnan(d.grad_norm));
    CHECK(std::isnan(d.parameter));
    CHECK(d.worst == (at == 0 ? "a" : "b"));
  }
}

TEST_CASE("every layout of the dense model equals one rank") {
  const Run alone = run<Dense<Cpu>>(base_config(), 1, 5);
  REQUIRE(alone.losses.back() < alone.losses.front());
  std::string table;
  int compared = 0;
  for (const auto& [ranks, config] : dense_layouts()) {
    const std::string name = describe(config, ranks);
    CAPTURE(name);
    Difference d;
    try {
      d = compare(alone, run<Dense<Cpu>>(config, ranks, 5));
    } catch (const ConfigError& error) {
      // The only layouts that are not legal here: more stages than layers.
      INFO(error.what());
      REQUIRE(config.parallelism.pipeline_parallel_schedule == "ZBVZeroBubble");
      REQUIRE(config.parallelism.pipeline_parallel_degree == 8);
      continue;
    }
    CAPTURE(d.worst);
    CHECK(d.loss < 1e-10);
    CHECK(d.grad_norm < 1e-10);
    CHECK(d.parameter < 1e-10);
    table += table_row("dense", name, d);
    ++compared;
  }
  CHECK(compared >= 80);
  if (const char* file = std::getenv("ASHLAR_EQUIVALENCE_TABLE")) std::ofstream(file, std::ios::app) << table;
}
