// Definitions of convert.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/config/json.hpp"
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
  std::optional<OpenCheckpoint> base;
  Config trained_with;
  if (checkpoint.manifest && !checkpoint.manifest->base.empty()) {
    const std::string& given = config.checkpoint.base_path;
    base = open_checkpoint(given.empty() ? checkpoint.manifest->base : given);
    FieldList list = fields(trained_with);
    read_json(list, checkpoint.manifest->config, (checkpoint.path / Manifest::file_name).string());
  }
  fs::create_directories(folder);
  return consolidate(checkpoint, folder / "model.safetensors",
                     config.checkpoint.export_dtype == "bfloat16" ? DType::bf16 : DType::f32, index_t{1} << 24,
                     base ? &base->index : nullptr, trained_with.lora.alpha);
}

}  // namespace ashlar::inline v0
