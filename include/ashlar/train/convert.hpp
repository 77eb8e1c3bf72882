// The subcommand convert: a checkpoint's weights as one model.safetensors, in another type where asked for.
// Read next: checkpoint/consolidate.hpp.
#pragma once

#include "ashlar/checkpoint/consolidate.hpp"
#include "ashlar/train/config.hpp"

namespace ashlar::inline v0 {

/// Writes <job.dump_folder>/model.safetensors from checkpoint.initial_load_path (a checkpoint, or a folder of them: its
/// newest; empty: the run's own folder, where checkpoint.load_step picks), as checkpoint.export_dtype. Builds no model
/// and needs one rank. Throws ConfigError where the path has no checkpoint, Error where it is damaged.
template <class CompiledOnce = void>
Consolidated convert(const Config& config) {
  namespace fs = std::filesystem;
  const fs::path folder = config.job.dump_folder;
  fs::path from = config.checkpoint.initial_load_path;
  if (from.empty()) {
    from = folder / config.checkpoint.folder;
    if (config.checkpoint.load_step >= 0) from = step_folder(from, config.checkpoint.load_step);
  }
  if (!fs::exists(from))
    throw ConfigError(concat(from.string(), " is not there; name a checkpoint with --checkpoint.initial_load_path"));
  OpenCheckpoint checkpoint = open_checkpoint(from);
  fs::create_directories(folder);
  return consolidate(checkpoint, folder / "model.safetensors",
                     config.checkpoint.export_dtype == "bfloat16" ? DType::bf16 : DType::f32);
}

}  // namespace ashlar::inline v0
