// What a run reports: one record for each logged step, and the file DIR/metrics.jsonl that keeps them, a JSON object a
// line. Over restarts the file has one line a step. Read next: report/progress.hpp.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "ashlar/core/error.hpp"
#include "ashlar/core/platform.hpp"
#include "ashlar/report/expert_load.hpp"

namespace ashlar::inline v0 {

/// The record of one logged step. Rates are over the time since the previous record.
struct StepMetrics {
  std::int64_t step = 0;               // 1-based
  double loss = 0;                     // mean over the step's valid tokens, all ranks
  double grad_norm = 0;                // global L2 norm, before clipping
  double lr = 0;                       // the rate that this step applied
  double tokens_per_second = 0;        // all ranks together
  std::int64_t peak_memory_bytes = 0;  // high-water mark of the process, or of the device where there is one
  double mfu = 0;                      // share of peak FLOP/s in use, full attention counted: the usual convention
  double mfu_causal = 0;               // the same, without what a causal mask hides
  double data_loading = 0;             // share of the time spent waiting for data
  std::int64_t tokens = 0;             // trained on since step 1, all ranks, restarts included
  double elapsed_seconds = 0;          // since this run began to build its model
  std::optional<double> held_out_loss = {};  // where this step was validated
  std::optional<ExpertLoad> experts = {};    // of this step, in mixtures of experts
};

namespace detail {

/// The step of a line that MetricsLog wrote; nothing for any other text. A torn line has no brace at its end, because
/// the objects are flat.
inline std::optional<std::int64_t> step_of_line(std::string_view line) {
  constexpr std::string_view begin = "{\"step\":";
  if (!line.starts_with(begin) || !line.ends_with('}')) return std::nullopt;
  std::int64_t step = 0;
  const auto [stop, error] = std::from_chars(line.data() + begin.size(), line.data() + line.size(), step);
  if (error != std::errc() || *stop != ',') return std::nullopt;
  return step;
}

}  // namespace detail

/// One record as a line of JSON, without the line's end. "step" stands first. Numbers have all digits (the shortest
/// text that reads back to them); JSON has no infinity and no NaN: null stands for them.
std::string to_json_line(const StepMetrics& m);

/// The file DIR/metrics.jsonl. Each line reaches the operating system whole, in one unbuffered write, before write()
/// returns: a process that is killed leaves whole lines. A machine that fails may lose the last ones or tear one.
class MetricsLog {
 public:
  /// Opens the log for a run that goes on after step `resumed_step` (0: a new run). Lines of later steps, which the run
  /// is about to repeat, and lines that are not whole are dropped; the file is replaced in one move. Makes the folder.
  /// Throws ConfigError where the folder can't be made, Error where the file can't be written.
  explicit MetricsLog(const std::filesystem::path& folder, std::int64_t resumed_step = 0);

  /// Adds one line. Steps must rise. Throws Error where the line can't be written, a full disk among the reasons.
  void write(const StepMetrics& metrics);

  const std::filesystem::path& path() const { return path_; }

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  /// The whole lines of rising steps up to `last`.
  static std::string kept_lines(const std::filesystem::path& path, std::int64_t last);

  std::filesystem::path path_;
  std::unique_ptr<std::FILE, Close> file_;
  std::int64_t last_step_;
};

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/report/metrics.ipp"
#endif
