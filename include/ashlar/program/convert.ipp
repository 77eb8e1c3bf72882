// Definitions of convert.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/program/convert.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE Consolidated convert(const Config& config) {
  namespace fs = std::filesystem;
  const fs::path folder = config.job.dump_folder, from = checkpoint_path(config);
  if (!fs::exists(from))
    throw ConfigError(concat(from.string(),
                             " is not there; name a checkpoint with --checkpoint.initial_load_path, or a step of a "
                             "folder of them with --checkpoint.load_step"));
  OpenCheckpoint checkpoint = open_checkpoint(from);
  fs::create_directories(folder);
  return consolidate(checkpoint, folder / "model.safetensors",
                     config.checkpoint.export_dtype == "bfloat16" ? DType::bf16 : DType::f32);
}

}  // namespace ashlar::inline v0
