// Definitions of folder.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/checkpoint/folder.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE std::vector<StepFolder> list_steps(const std::filesystem::path& folder) {
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

ASHLAR_ONCE std::optional<std::int64_t> newest_step(const std::filesystem::path& folder) {
  std::optional<std::int64_t> newest;
  for (const StepFolder& s : list_steps(folder))
    if (s.complete) newest = s.step;
  return newest;
}

ASHLAR_ONCE void remove_checkpoint(const std::filesystem::path& checkpoint) {
  std::error_code ignored;
  std::filesystem::remove(checkpoint / Manifest::file_name, ignored);
  std::filesystem::remove_all(checkpoint, ignored);
}

ASHLAR_ONCE void purge(const std::filesystem::path& folder, int keep, std::int64_t saved) {
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
