// Every legal layout of 1, 2, 4 and 8 ranks over fsdp and ep, against one rank; and with tp, where each rank of tp
// routes the tokens that it holds.
#include <cstdlib>
#include <fstream>

#include "train/equivalence.hpp"

using namespace equivalence;

TEST_CASE("every layout of the mixture of experts equals one rank") {
  const Run alone = run<Experts<Cpu>>(base_config(), 1, 5);
  REQUIRE(alone.losses.back() < alone.losses.front());
  REQUIRE(alone.tensors.contains("layers.1.moe.expert_bias"));
  std::string table;
  for (const auto& [ranks, config] : expert_layouts()) {
    const std::string name = describe(config, ranks);
    CAPTURE(name);
    const Difference d = compare(alone, run<Experts<Cpu>>(config, ranks, 5));
    CAPTURE(d.worst);
    CHECK(d.loss < 1e-10);
    CHECK(d.grad_norm < 1e-10);
    CHECK(d.parameter < 1e-10);
    table += table_row("mixture of experts", name, d);
  }
  if (const char* file = std::getenv("ASHLAR_EQUIVALENCE_TABLE")) std::ofstream(file, std::ios::app) << table;
}
