// The learning rate as a pure function of the step: linear warm-up, constant, then a decay. It has no state, so a run
// that is resumed or re-sharded goes on with the same rates. Read next: optim/rules/adamw.hpp.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ashlar/core/error.hpp"
#include "ashlar/core/platform.hpp"

namespace ashlar::inline v0 {

/// The shape of the decay, as a function of its progress p in [0, 1].
enum class Decay {
  linear,  // 1 - p
  sqrt,    // 1 - sqrt(p)
  cosine,  // (1 + cos(pi p)) / 2
};

constexpr std::string_view to_string(Decay decay) {
  constexpr std::string_view names[] = {"linear", "sqrt", "cosine"};
  return names[static_cast<int>(decay)];
}

/// The decay of that name. Throws ConfigError for any other name.
Decay decay_from(std::string_view name);

/// What a schedule is made from.
struct LrScheduleOptions {
  double base = 1.0;                       // the rate between warm-up and decay
  std::int64_t steps = 1;                  // T, the length of the run
  std::int64_t warmup_steps = 0;           // cut to T
  std::optional<double> decay_ratio = {};  // share of T that decays, cut to what the warm-up leaves; none: all of that
  Decay decay = Decay::linear;
  double min_factor = 0.0;  // where the decay ends, as a share of the base rate
};

/// Warm-up over W steps, constant over S, decay over D, with W + S + D = T + 1: one constant step more than the run
/// has, so that the last real step is above the floor.
class LrSchedule {
 public:
  /// Throws ConfigError for a negative count or a share outside of [0, 1].
  explicit LrSchedule(const LrScheduleOptions& options);

  /// The rate that step `step` (1, 2, ... T) applies.
  double rate(std::int64_t step) const { return options_.base * factor(step - 1); }

  /// The share of the base rate after `done` finished steps. At T and beyond: the floor, or 1 where nothing decays.
  double factor(std::int64_t done) const {
    if (done < warmup_) return static_cast<double>(done + 1) / static_cast<double>(warmup_);
    if (done < decay_begin_ || decay_ == 0) return 1.0;
    if (done >= options_.steps) return options_.min_factor;
    const double progress = static_cast<double>(done + 1 - decay_begin_) / static_cast<double>(decay_);
    return options_.min_factor + (1.0 - options_.min_factor) * shape(progress);
  }

  /// Steps of the warm-up and of the decay, after cutting them to the run.
  std::int64_t warmup_steps() const { return warmup_; }
  std::int64_t decay_steps() const { return decay_; }
  /// What was cut, a sentence each, for the run's log.
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  double shape(double progress) const {
    switch (options_.decay) {
      case Decay::linear: return 1.0 - progress;
      case Decay::sqrt: return 1.0 - std::sqrt(progress);
      case Decay::cosine: return 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
    }
    return 0.0;
  }

  // Written out, because std::nearbyint obeys a rounding mode that any code of the process may have changed.
  static std::int64_t round_half_even(double x) {
    const double below = std::floor(x), rest = x - below;
    const auto whole = static_cast<std::int64_t>(below);
    return whole + (rest > 0.5 || (rest == 0.5 && whole % 2 != 0));
  }

  LrScheduleOptions options_;
  std::int64_t warmup_;
  std::int64_t decay_ = 0;
  std::int64_t decay_begin_ = 0;  // finished steps at which the decay begins
  std::vector<std::string> warnings_;
};

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/optim/lr_schedule.ipp"
#endif
