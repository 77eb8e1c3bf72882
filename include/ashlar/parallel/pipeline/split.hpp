// Which layers each pipeline stage holds: as even as can be, with the embedding and the output counted as layers. Read
// next: schedule.hpp.
#pragma once

#include <vector>

#include "ashlar/core/error.hpp"
#include "ashlar/core/platform.hpp"
#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0::pipeline {

/// What the embedding and the output (final norm and projection) cost, in layers: the values of
/// --parallelism.pipeline_parallel_first_stage_less_layers and ..._last_stage_less_layers.
struct EndWeights {
  int first = 1;
  int last = 1;
};

/// What one stage holds: layers [begin, end) of the model under their own numbers, and perhaps an end of it.
struct StageLayers {
  int begin = 0;
  int end = 0;
  bool embedding = false;
  bool output = false;  // the final norm, the output projection and the loss

  friend bool operator==(const StageLayers&, const StageLayers&) = default;
};

/// Divides `layers` over `stages`: the weights of the ends count as layers, each stage gets an equal share, and the
/// first stages one more where that does not divide. Throws ConfigError where a share is too small for an end.
std::vector<StageLayers> split_layers(int layers, int stages, EndWeights weights = {});

}  // namespace ashlar::inline v0::pipeline

#if !ASHLAR_COMPILED
#include "ashlar/parallel/pipeline/split.ipp"
#endif
