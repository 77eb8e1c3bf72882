// A picture of a schedule: a row a rank, a column a unit of time. Read next: timeline.hpp.
#pragma once

#include <cctype>

#include "ashlar/core/platform.hpp"
#include "ashlar/parallel/pipeline/timeline.hpp"

namespace ashlar::inline v0::pipeline {

/// The text, a line a rank. A cell is the action's kind and micro-batch where it begins, "--" while it lasts, "." where
/// the rank is idle. Where ranks own two stages, the later one is in lower case; with more, the stage stands in front.
/// Messages take no time and are not drawn. The schedule must be valid.
std::string draw(const Schedule& schedule, UnitCosts costs = {});

}  // namespace ashlar::inline v0::pipeline

#if !ASHLAR_COMPILED
#include "ashlar/parallel/pipeline/draw.ipp"
#endif
