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

namespace detail {
/// Throws Error unless the reason is that there is nothing of that name: what can't be read may well be there.
inline void check_readable(const std::filesystem::path& path, const std::error_code& error) {
  if (error && error != std::errc::no_such_file_or_directory && error != std::errc::not_a_directory)
    fail(concat(path.string(), ": can't be read: ", error.message()));
}
}  // namespace detail

inline bool is_complete(const std::filesystem::path& checkpoint) {
  std::error_code error;
  const bool complete = std::filesystem::is_regular_file(checkpoint / Manifest::file_name, error);
  detail::check_readable(checkpoint, error);
  return complete;
}

/// All step-<N> of a folder, by N. A folder that is not there has none. Throws Error where it can't be read.
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
  detail::check_readable(folder, error);
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

/// Once `saved` is written, it is the newest: complete ones of greater steps are of a run that went back since, and are
/// set aside as step-<N>.abandoned, which nothing reads. Then deletes all but the newest `keep` complete checkpoints
/// (0: none goes), and incomplete ones older than `saved`, which an interrupted save has left. One rank calls it.
template <class CompiledOnce = void>
void purge(const std::filesystem::path& folder, int keep, std::int64_t saved) {
  std::vector<StepFolder> steps = list_steps(folder);
  std::reverse(steps.begin(), steps.end());
  int kept = 0;
  for (const StepFolder& s : steps) {
    if (s.step > saved && s.complete) {
      std::filesystem::path aside = s.path;
      aside += ".abandoned";
      std::error_code ignored;
      std::filesystem::remove_all(aside, ignored);
      std::filesystem::rename(s.path, aside, ignored);
    } else if (s.step <= saved && keep > 0 && !(s.complete && kept++ < keep)) {
      remove_checkpoint(s.path);
    }
  }
}

}  // namespace ashlar::inline v0
