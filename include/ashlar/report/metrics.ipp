// Definitions of metrics.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include <cmath>

#include "ashlar/report/metrics.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE std::string to_json_line(const StepMetrics& m) {
  std::string line;
  const auto add = [&](std::string_view name, auto value) {
    line += concat(line.empty() ? "{\"" : ",\"", name, "\":");
    line += std::isfinite(static_cast<double>(value)) ? concat(value) : "null";
  };
  add("step", m.step);
  add("loss", m.loss);
  add("grad_norm", m.grad_norm);
  add("lr", m.lr);
  add("tokens_per_second", m.tokens_per_second);
  add("peak_memory_bytes", m.peak_memory_bytes);
  add("mfu", m.mfu);
  add("mfu_causal", m.mfu_causal);
  add("data_loading", m.data_loading);
  add("tokens", m.tokens);
  add("elapsed_seconds", m.elapsed_seconds);
  if (m.experts) {
    add("expert_load_least", m.experts->least);
    add("expert_load_most", m.experts->most);
    add("expert_load_entropy", m.experts->entropy);
    add("dropped_tokens", m.experts->dropped);
  }
  if (m.held_out_loss) add("held_out_loss", *m.held_out_loss);
  return line + "}";
}

ASHLAR_ONCE MetricsLog::MetricsLog(const std::filesystem::path& folder, std::int64_t resumed_step)
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

ASHLAR_ONCE void MetricsLog::write(const StepMetrics& metrics) {
  if (metrics.step <= last_step_)
    fail(concat("metrics of step ", metrics.step, " come after those of step ", last_step_));
  const std::string line = to_json_line(metrics) + "\n";
  if (std::fwrite(line.data(), 1, line.size(), file_.get()) != line.size())
    fail(concat("can't write ", path_.string()));
  last_step_ = metrics.step;
}

ASHLAR_ONCE std::string MetricsLog::kept_lines(const std::filesystem::path& path, std::int64_t last) {
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

}  // namespace ashlar::inline v0
