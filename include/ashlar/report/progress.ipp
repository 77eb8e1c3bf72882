// Definitions of progress.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/report/progress.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE std::string grouped_text(double count) {
  std::string text = detail::fixed(count, 0);
  if (text.find_first_not_of("-0123456789") != text.npos) return text;  // nan, inf
  const std::size_t first = text.starts_with('-') ? 1 : 0;
  for (std::size_t i = text.size(); i > first + 3;) text.insert(i -= 3, ",");
  return text;
}

ASHLAR_ONCE std::string progress_text(const StepMetrics& m, std::int64_t steps, double seconds_per_step) {
  const auto left = static_cast<double>(std::max<std::int64_t>(0, steps - m.step));
  std::string line = concat("step ", m.step, "/", steps, "  loss ", detail::fixed(m.loss, 4), "  gradient norm ",
                            detail::fixed(m.grad_norm, 4), "  ", grouped_text(m.tokens_per_second), " tokens/s  MFU ",
                            detail::fixed(100 * m.mfu, 1), "% (causal ", detail::fixed(100 * m.mfu_causal, 1), "%)  ",
                            bytes_text(m.peak_memory_bytes), "  ", duration_text(left * seconds_per_step), " left");
  if (m.held_out_loss) line += concat("  held-out loss ", detail::fixed(*m.held_out_loss, 4));
  return line;
}

ASHLAR_ONCE void Progress::report(const StepMetrics& metrics, std::int64_t steps, double seconds_per_step) {
  show(progress_text(metrics, steps, seconds_per_step));
  if (metrics.held_out_loss) finish();
}

ASHLAR_ONCE void Progress::note(std::string_view text) {
  finish();
  put(concat(text, "\n"));
}

}  // namespace ashlar::inline v0
