// What a run reports: one record for each logged step, and the file DIR/metrics.jsonl that keeps them, a JSON object a
// line. Over restarts the file has one line a step. Used by the trainer on one rank. Read next: train/progress.hpp.
#pragma once

#include <charconv>
#include <cmath>
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
};

namespace detail {

/// Appends `"name":value` with all digits of the value (the shortest text that reads back to it). JSON has no infinity
/// and no NaN: null stands for them.
template <class T>
void append_json_number(std::string& line, std::string_view name, T value) {
  line += concat(line.back() == '{' ? "\"" : ",\"", name, "\":");
  if (std::isfinite(static_cast<double>(value)))
    line += concat(value);
  else
    line += "null";
}

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

/// One record as a line of JSON, without the line's end. "step" stands first.
template <class CompiledOnce = void>
std::string to_json_line(const StepMetrics& m) {
  std::string line = "{";
  detail::append_json_number(line, "step", m.step);
  detail::append_json_number(line, "loss", m.loss);
  detail::append_json_number(line, "grad_norm", m.grad_norm);
  detail::append_json_number(line, "lr", m.lr);
  detail::append_json_number(line, "tokens_per_second", m.tokens_per_second);
  detail::append_json_number(line, "peak_memory_bytes", m.peak_memory_bytes);
  detail::append_json_number(line, "mfu", m.mfu);
  detail::append_json_number(line, "mfu_causal", m.mfu_causal);
  detail::append_json_number(line, "data_loading", m.data_loading);
  detail::append_json_number(line, "tokens", m.tokens);
  detail::append_json_number(line, "elapsed_seconds", m.elapsed_seconds);
  if (m.held_out_loss) detail::append_json_number(line, "held_out_loss", *m.held_out_loss);
  return line + "}";
}

/// The file DIR/metrics.jsonl. Each line reaches the operating system whole, in one unbuffered write, before write()
/// returns: a process that is killed leaves whole lines. A machine that fails may lose the last ones or tear one.
class MetricsLog {
 public:
  /// Opens the log for a run that goes on after step `resumed_step` (0: a new run). Lines of later steps, which the run
  /// is about to repeat, and lines that are not whole are dropped; the file is replaced in one move. Makes the folder.
  /// Throws ConfigError where the folder can't be made, Error where the file can't be written.
  template <class CompiledOnce = void>
  explicit MetricsLog(const std::filesystem::path& folder, std::int64_t resumed_step = 0)
      : path_(folder / "metrics.jsonl"), last_step_(resumed_step) {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error)
      throw ConfigError(concat("--job.dump_folder ", folder.string(), ": can't make the folder: ", error.message()));
    const std::filesystem::path fresh = folder / "metrics.jsonl.new";
    {
      std::ofstream out(fresh, std::ios::binary | std::ios::trunc);
      out << kept_lines(path_, resumed_step);
      out.close();
      if (!out) fail(concat("can't write ", fresh.string()));
    }
    std::filesystem::rename(fresh, path_, error);
    if (error) fail(concat("can't replace ", path_.string(), ": ", error.message()));
    file_.reset(std::fopen(path_.c_str(), "ab"));
    if (!file_) fail(concat("can't open ", path_.string()));
    std::setvbuf(file_.get(), nullptr, _IONBF, 0);
  }

  /// Adds one line. Steps must rise. Throws Error where the line can't be written, a full disk among the reasons.
  template <class CompiledOnce = void>
  void write(const StepMetrics& metrics) {
    if (metrics.step <= last_step_)
      fail(concat("metrics of step ", metrics.step, " come after those of step ", last_step_));
    const std::string line = to_json_line(metrics) + "\n";
    if (std::fwrite(line.data(), 1, line.size(), file_.get()) != line.size())
      fail(concat("can't write ", path_.string()));
    last_step_ = metrics.step;
  }

  const std::filesystem::path& path() const { return path_; }

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  /// The whole lines of rising steps up to `last`.
  template <class CompiledOnce = void>
  static std::string kept_lines(const std::filesystem::path& path, std::int64_t last) {
    std::string kept;
    std::int64_t previous = 0;
    std::ifstream in(path, std::ios::binary);
    for (std::string line; std::getline(in, line);) {
      const std::optional<std::int64_t> step = detail::step_of_line(line);
      if (!step || *step <= previous || *step > last) continue;
      previous = *step;
      kept += line + "\n";
    }
    return kept;
  }

  std::filesystem::path path_;
  std::unique_ptr<std::FILE, Close> file_;
  std::int64_t last_step_;
};

}  // namespace ashlar::inline v0
