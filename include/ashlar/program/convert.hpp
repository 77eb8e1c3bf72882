// The subcommand convert: a checkpoint's weights as one model.safetensors, in another type where asked for.
// Read next: checkpoint/consolidate.hpp.
#pragma once

#include "ashlar/checkpoint/consolidate.hpp"
#include "ashlar/config/config.hpp"
#include "ashlar/core/platform.hpp"

namespace ashlar::inline v0 {

/// Where the weights are that convert takes: checkpoint.initial_load_path or, where that is empty, the
/// run's own folder, and in either the step that checkpoint.load_step picks. What open_checkpoint() takes.
inline std::filesystem::path checkpoint_path(const Config& config) {
  const CheckpointConfig& c = config.checkpoint;
  std::filesystem::path path = c.initial_load_path;
  if (path.empty()) path = std::filesystem::path(config.job.dump_folder) / c.folder;
  return c.load_step < 0 ? path : step_folder(path, c.load_step);
}

/// Writes <job.dump_folder>/model.safetensors from checkpoint_path(), of a folder of checkpoints from its newest, as
/// checkpoint.export_dtype. Of a checkpoint that left its frozen weights in a base (checkpoint.base_path; where that is
/// empty, the one that it names), writes the whole: base weights, with adapters added to them. Builds no model and
/// needs one rank. Throws ConfigError where the path has no checkpoint, Error where it is damaged.
Consolidated convert(const Config& config);

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/program/convert.ipp"
#endif
