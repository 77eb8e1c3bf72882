// The line that a person watches while a run trains: on a terminal one line that is written over, elsewhere a line a
// report. Used by the trainer on one rank. Read next: program/signals.hpp.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <string>
#include <string_view>

#include "ashlar/core/error.hpp"
#include "ashlar/core/platform.hpp"
#include "ashlar/report/metrics.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

namespace ashlar::inline v0 {

namespace detail {

/// `value` with that many decimals ("4.1250"), as wide as it needs.
inline std::string fixed(double value, int decimals) {
  char buffer[352];  // the largest double has 309 digits before the point
  return std::string(buffer, static_cast<std::size_t>(std::snprintf(buffer, sizeof buffer, "%.*f", decimals, value)));
}

}  // namespace detail

/// A count rounded to a whole number, with a comma every three digits: "1,234,567".
std::string grouped_text(double count);

/// Bytes in the largest unit that leaves at least 1: "3.25 GiB".
inline std::string bytes_text(std::int64_t bytes) {
  constexpr std::string_view units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  auto amount = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; amount >= 1024 && unit + 1 < std::size(units); ++unit) amount /= 1024;
  return concat(detail::fixed(amount, unit == 0 ? 0 : 2), " ", units[unit]);
}

/// A span of time in its two largest units: "12s", "3m05s", "2h07m", "4d11h"; "?" for what is not known.
inline std::string duration_text(double seconds) {
  if (!(seconds >= 0) || seconds > 1e12) return "?";
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  const auto two_digits = [](std::int64_t n) { return concat(n < 10 ? "0" : "", n); };
  if (whole < 60) return concat(whole, "s");
  if (whole < 3600) return concat(whole / 60, "m", two_digits(whole % 60), "s");
  if (whole < 86400) return concat(whole / 3600, "h", two_digits(whole / 60 % 60), "m");
  return concat(whole / 86400, "d", two_digits(whole / 3600 % 24), "h");
}

/// The line of one report. `seconds_per_step` is over the time since the previous report; it gives the time left.
std::string progress_text(const StepMetrics& m, std::int64_t steps, double seconds_per_step);

/// Where progress lines go. On a terminal each line replaces the one before, except that lines with a held-out
/// loss stay. Elsewhere each is a line of its own.
class Progress {
 public:
  /// `out` is not owned. `is_terminal` is a parameter for tests; writes_to_terminal(out) is what runs pass.
  Progress(std::FILE* out, bool is_terminal) : out_(out), is_terminal_(is_terminal) {}
  explicit Progress(std::FILE* out = stdout) : Progress(out, writes_to_terminal(out)) {}
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { finish(); }

  /// Whether `out` is a terminal that understands escape sequences.
  static bool writes_to_terminal(std::FILE* out) {
#if defined(__unix__) || defined(__APPLE__)
    const char* kind = std::getenv("TERM");
    return isatty(fileno(out)) == 1 && kind && std::string_view(kind) != "dumb";
#else
    return static_cast<void>(out), false;
#endif
  }

  void report(const StepMetrics& metrics, std::int64_t steps, double seconds_per_step);

  /// A sentence between reports: what was loaded, where a checkpoint went. It stays.
  void note(std::string_view text);

  /// Ends a line that is being written over, so that what follows begins on a new one.
  void finish() {
    if (open_) put("\n");
    open_ = false;
  }

 private:
  void show(const std::string& line) {
    // \r: back to the line's beginning. ESC[?7l and ESC[?7h: wrap no long line, or the next \r would not reach its
    // beginning. ESC[K: clear what a longer line before has left.
    if (is_terminal_)
      put(concat("\r\x1b[?7l", line, "\x1b[K\x1b[?7h"));
    else
      put(concat(line, "\n"));
    open_ = is_terminal_;
  }
  void put(std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), out_);
    std::fflush(out_);
  }

  std::FILE* out_;
  bool is_terminal_;
  bool open_ = false;  // the terminal's last line has no end yet
};

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/report/progress.ipp"
#endif
