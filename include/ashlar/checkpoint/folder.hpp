// The folder of a run's checkpoints: step-<N>/ each. Which are complete, which is the newest, which go.
// Used by train/checkpointer.hpp. Read next: checkpoint/manifest.hpp.
#pragma once

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "ashlar/checkpoint/manifest.hpp"

namespace ashlar::inline v0 {

/// One step-<N> of a folder.
struct StepFolder {
  std::int64_t step = 0;
  bool complete = false;  // has a manifest
  std::filesystem::path path;
};

inline std::filesystem::path step_folder(const std::filesystem::path& folder, std::int64_t step) {
  return folder / concat("step-", step);
}

inline bool is_complete(const std::filesystem::path& checkpoint) {
  std::error_code error;
  return std::filesystem::is_regular_file(checkpoint / Manifest::file_name, error);
}

/// All step-<N> of a folder, by N. A folder that is not there has none.
template <class CompiledOnce = void>
std::vector<StepFolder> list_steps(const std::filesystem::path& folder) {
  std::vector<StepFolder> steps;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    constexpr std::string_view prefix = "step-";
    if (name.compare(0, prefix.size(), prefix) != 0) continue;
    std::int64_t step = -1;
    const char* last = name.data() + name.size();
    const auto [rest, bad] = std::from_chars(name.data() + prefix.size(), last, step);
    // "step-007" is nobody's: it would be read as step 7 and written as another folder.
    if (bad != std::errc() || rest != last || step < 0 || step_folder(folder, step) != it->path()) continue;
    steps.push_back({step, is_complete(it->path()), it->path()});
  }
  std::sort(steps.begin(), steps.end(), [](const StepFolder& a, const StepFolder& b) { return a.step < b.step; });
  return steps;
}

/// The greatest step with a complete checkpoint.
template <class CompiledOnce = void>
std::optional<std::int64_t> newest_step(const std::filesystem::path& folder) {
  std::optional<std::int64_t> newest;
  for (const StepFolder& s : list_steps(folder))
    if (s.complete) newest = s.step;
  return newest;
}

/// Deletes a checkpoint, the manifest first: what an interruption leaves is not taken for a checkpoint. Best effort.
template <class CompiledOnce = void>
void remove_checkpoint(const std::filesystem::path& checkpoint) {
  std::error_code ignored;
  std::filesystem::remove(checkpoint / Manifest::file_name, ignored);
  std::filesystem::remove_all(checkpoint, ignored);
}

/// Deletes all complete checkpoints but the newest `keep` (0: none goes), and incomplete ones older than `saved`, which
/// an interrupted save has left. Never deletes `saved`, the step just written: after a return to an older step it is
/// not the greatest. One rank calls it.
template <class CompiledOnce = void>
void purge(const std::filesystem::path& folder, int keep, std::int64_t saved) {
  if (keep == 0) return;
  std::vector<StepFolder> steps = list_steps(folder);
  std::reverse(steps.begin(), steps.end());
  int kept = 0;
  for (const StepFolder& s : steps) {
    const bool stays = s.step == saved || (s.complete ? kept < keep : s.step > saved);
    if (stays)
      kept += s.complete;
    else
      remove_checkpoint(s.path);
  }
}

}  // namespace ashlar::inline v0
