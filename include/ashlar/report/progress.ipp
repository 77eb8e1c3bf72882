// Definitions of progress.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <iterator>

#include "ashlar/report/progress.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE std::string grouped_text(double count) {
  std::string text = fmt::format("{:.0f}", count);
  if (text.find_first_not_of("-0123456789") != text.npos) return text;  // nan, inf
  const std::size_t first = text.starts_with('-') ? 1 : 0;
  for (std::size_t i = text.size(); i > first + 3;) text.insert(i -= 3, ",");
  return text;
}

ASHLAR_ONCE std::string bytes_text(std::int64_t bytes) {
  constexpr std::string_view units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  auto amount = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; amount >= 1024 && unit + 1 < std::size(units); ++unit) amount /= 1024;
  return fmt::format("{:.{}f} {}", amount, unit == 0 ? 0 : 2, units[unit]);
}

ASHLAR_ONCE std::string duration_text(double seconds) {
  if (!(seconds >= 0) || seconds > 1e12) return "?";
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  if (whole < 60) return fmt::format("{}s", whole);
  if (whole < 3600) return fmt::format("{}m{:02}s", whole / 60, whole % 60);
  if (whole < 86400) return fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60);
  return fmt::format("{}d{:02}h", whole / 86400, whole / 3600 % 24);
}

ASHLAR_ONCE std::string progress_text(const StepMetrics& m, std::int64_t steps, double seconds_per_step) {
  const auto left = static_cast<double>(std::max<std::int64_t>(0, steps - m.step));
  std::string line = fmt::format(
      "step {}/{}  loss {:.4f}  gradient norm {:.4f}  {} tokens/s  MFU {:.1f}% (causal {:.1f}%)  {}  {} left", m.step,
      steps, m.loss, m.grad_norm, grouped_text(m.tokens_per_second), 100 * m.mfu, 100 * m.mfu_causal,
      bytes_text(m.peak_memory_bytes), duration_text(left * seconds_per_step));
  if (m.held_out_loss) line += fmt::format("  held-out loss {:.4f}", *m.held_out_loss);
  return line;
}

ASHLAR_ONCE void Progress::report(const StepMetrics& metrics, std::int64_t steps, double seconds_per_step) {
  // \r: back to the line's beginning. ESC[?7l and ESC[?7h: wrap no long line, or the next \r would not reach its
  // beginning. ESC[K: clear what a longer line before has left.
  const std::string line = progress_text(metrics, steps, seconds_per_step);
  put(is_terminal_ ? fmt::format("\r\x1b[?7l{}\x1b[K\x1b[?7h", line) : line + "\n");
  open_ = is_terminal_;
  if (metrics.held_out_loss) finish();
}

ASHLAR_ONCE void Progress::note(std::string_view text) {
  finish();
  put(fmt::format("{}\n", text));
}

}  // namespace ashlar::inline v0
