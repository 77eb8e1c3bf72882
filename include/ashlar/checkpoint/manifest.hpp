// Manifest: checkpoint.json, written last into a checkpoint's folder. A checkpoint is complete when it has one.
// Read next: checkpoint/manifest.ipp, its text; checkpoint/folder.hpp.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "ashlar/core/platform.hpp"
#include "ashlar/mesh/mesh.hpp"

namespace ashlar::inline v0 {

struct Manifest {
  static constexpr const char* file_name = "checkpoint.json";
  static constexpr int newest_format = 1;

  struct StoredFile {
    std::string name;  // in the same folder
    std::uint64_t bytes = 0;
  };

  std::int64_t step = 0;     // steps taken
  std::int64_t updates = 0;  // steps that the optimizer's states have seen
  std::int64_t tokens = 0;   // tokens trained on, over all ranks
  std::int64_t cursor = 0;   // the loader's: rows read, over all ranks
  bool model_only = false;   // weights and buffers alone: a run can't go on from here
  std::string base;          // the checkpoint that has the frozen weights; empty: they are here
  int world_size = 1;
  Degrees degrees = {1, 1, 1, 1, 1, 1};
  std::string config;  // the resolved configuration, JSON text
  std::string build = ASHLAR_BUILD;
  std::vector<StoredFile> files;
};

std::string to_json(const Manifest& m);
/// Throws Error that names `path` and the field: for what is no manifest, or one of a newer format.
Manifest parse_manifest(std::string_view text, const std::string& path);
/// Of a checkpoint's folder. Throws Error also where it can't be read.
Manifest read_manifest(const std::filesystem::path& folder);

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/checkpoint/manifest.ipp"
#endif
