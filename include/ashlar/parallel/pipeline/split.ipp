// Definitions of split.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/parallel/pipeline/split.hpp"

namespace ashlar::inline v0::pipeline {

ASHLAR_ONCE std::vector<StageLayers> split_layers(int layers, int stages, EndWeights weights) {
  if (stages < 1)
    throw ConfigError(concat("--parallelism.pipeline_parallel_degree gives ", stages,
                             " pipeline stages; there must be at least one"));
  if (layers < 0 || weights.first < 0 || weights.last < 0)
    throw ConfigError(
        "--parallelism.pipeline_parallel_first_stage_less_layers and "
        "--parallelism.pipeline_parallel_last_stage_less_layers are 0 or more");
  if (stages == 1) return {{0, layers, true, true}};
  const int total = layers + weights.first + weights.last, share = total / stages, longer = total % stages;
  if (stages > total)
    throw ConfigError(concat("--parallelism.pipeline_parallel_degree asks for ", stages, " pipeline stages, but ",
                             layers, " layers and the model's ends are only worth ", total, " layers"));
  if (weights.first > share)
    throw ConfigError(concat("--parallelism.pipeline_parallel_first_stage_less_layers ", weights.first,
                             " exceeds a stage's share of ", share, " layers (", layers, " layers over ", stages,
                             " stages)"));
  if (weights.last > share)
    throw ConfigError(concat("--parallelism.pipeline_parallel_last_stage_less_layers ", weights.last,
                             " exceeds a stage's share of ", share, " layers (", layers, " layers over ", stages,
                             " stages)"));
  std::vector<StageLayers> out;
  int next = 0;
  for (int s = 0; s < stages; ++s) {
    const bool first = s == 0, last = s + 1 == stages;
    const int count = share + (s < longer) - (first ? weights.first : 0) - (last ? weights.last : 0);
    out.push_back({next, next + count, first, last});
    next += count;
  }
  return out;
}

}  // namespace ashlar::inline v0::pipeline
