// Definitions of draw.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include <fmt/core.h>

#include "ashlar/parallel/pipeline/draw.hpp"

namespace ashlar::inline v0::pipeline {

ASHLAR_ONCE std::string draw(const Schedule& schedule, UnitCosts costs) {
  const Timeline timeline = simulate(schedule, costs);
  const int stages_per_rank = schedule.stages / schedule.ranks;
  std::vector<std::vector<std::string>> cells(
      schedule.actions.size(), std::vector<std::string>(static_cast<std::size_t>(timeline.makespan), "."));
  std::size_t width = 2;
  for (std::size_t r = 0; r < cells.size(); ++r)
    for (std::size_t i = 0; i < schedule.actions[r].size(); ++i) {
      const Action& a = schedule.actions[r][i];
      if (!is_compute(a.kind)) continue;
      std::string text = concat(to_string(a.kind), a.micro_batch);
      if (stages_per_rank > 2) text = to_string(a);
      if (stages_per_rank == 2 && a.stage >= schedule.ranks)
        text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
      width = std::max(width, text.size());
      const auto begin = static_cast<std::size_t>(timeline.begin[r][i]);
      for (int t = 0; t < costs.of(a.kind); ++t) cells[r][begin + static_cast<std::size_t>(t)] = t == 0 ? text : "--";
    }
  std::string out;
  for (std::size_t r = 0; r < cells.size(); ++r) {
    out += fmt::format("rank {} |", r);
    for (const std::string& cell : cells[r]) out += fmt::format(" {:>{}}", cell, width);
    out += "\n";
  }
  return out;
}

}  // namespace ashlar::inline v0::pipeline
