// The folder of a run's checkpoints: step-<N>/ each. Which are complete, which is the newest, which go. Read next:
// checkpoint/manifest.hpp.
#pragma once

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "ashlar/checkpoint/manifest.hpp"
#include "ashlar/core/platform.hpp"

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
std::vector<StepFolder> list_steps(const std::filesystem::path& folder);

/// The greatest step with a complete checkpoint.
std::optional<std::int64_t> newest_step(const std::filesystem::path& folder);

/// Deletes a checkpoint, the manifest first: what an interruption leaves is not taken for a checkpoint. Best effort.
void remove_checkpoint(const std::filesystem::path& checkpoint);

/// Once `saved` is written, it is the newest: complete ones of greater steps are of a run that went back since, and are
/// set aside as step-<N>.abandoned, which nothing reads. Then deletes all but the newest `keep` complete checkpoints
/// (0: none goes), and incomplete ones older than `saved`, which an interrupted save has left. One rank calls it.
void purge(const std::filesystem::path& folder, int keep, std::int64_t saved);

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/checkpoint/folder.ipp"
#endif
