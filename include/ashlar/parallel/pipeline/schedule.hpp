// The schedules by name, as --parallelism.pipeline_parallel_schedule says them. Read next: schedules/gpipe.hpp, the
// simplest of them.
#pragma once

#include <algorithm>
#include <array>
#include <cctype>

#include "ashlar/core/platform.hpp"
#include "ashlar/parallel/pipeline/schedules/gpipe.hpp"
#include "ashlar/parallel/pipeline/schedules/one_f_one_b.hpp"
#include "ashlar/parallel/pipeline/schedules/zbv.hpp"

namespace ashlar::inline v0::pipeline {

/// A schedule is a pure function of the number of ranks and of micro-batches (any number of either).
struct NamedSchedule {
  std::string_view name;
  int stages_per_rank;
  Schedule (*make)(int ranks, int micro_batches);
};

inline constexpr std::array named_schedules{
    NamedSchedule{"GPipe", 1, gpipe},
    NamedSchedule{"1F1B", 1, one_f_one_b},
    NamedSchedule{"ZBVZeroBubble", 2, zbv_zero_bubble},
};

/// The schedule of that name, in upper or lower case. Throws ConfigError with the names that exist.
const NamedSchedule& find_schedule(std::string_view name);

}  // namespace ashlar::inline v0::pipeline

#if !ASHLAR_COMPILED
#include "ashlar/parallel/pipeline/schedule.ipp"
#endif
