// Definitions of schedule.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/parallel/pipeline/schedule.hpp"

namespace ashlar::inline v0::pipeline {

ASHLAR_ONCE const NamedSchedule& find_schedule(std::string_view name) {
  const auto same = [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
  };
  std::string names;
  for (const NamedSchedule& candidate : named_schedules) {
    if (std::ranges::equal(candidate.name, name, same)) return candidate;
    names += (names.empty() ? "" : ", ") + std::string(candidate.name);
  }
  throw ConfigError(concat("--parallelism.pipeline_parallel_schedule: there is no schedule named \"", name,
                           "\"; the names are ", names));
}

}  // namespace ashlar::inline v0::pipeline
