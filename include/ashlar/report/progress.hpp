// The line that a person watches while a run trains: on a terminal one line that is written over, elsewhere a line a
// report. Read next: program/signals.hpp.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "ashlar/core/error.hpp"
#include "ashlar/core/platform.hpp"
#include "ashlar/report/metrics.hpp"

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

namespace ashlar::inline v0 {

/// A count rounded to a whole number, with a comma every three digits: "1,234,567".
std::string grouped_text(double count);

/// Bytes in the largest unit that leaves at least 1: "3.25 GiB".
std::string bytes_text(std::int64_t bytes);

/// A span of time in its two largest units: "12s", "3m05s", "2h07m", "4d11h"; "?" for what is not known.
std::string duration_text(double seconds);

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
