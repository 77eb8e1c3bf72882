// Definitions of lr_schedule.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/optim/lr_schedule.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE Decay decay_from(std::string_view name) {
  for (Decay decay : {Decay::linear, Decay::sqrt, Decay::cosine})
    if (to_string(decay) == name) return decay;
  throw ConfigError(concat("lr_scheduler.decay_type: must be one of linear, sqrt, cosine, found \"", name, "\""));
}

ASHLAR_ONCE LrSchedule::LrSchedule(const LrScheduleOptions& options)
    : options_(options), warmup_(options.warmup_steps) {
  const auto is_share = [](double x) { return x >= 0 && x <= 1; };
  if (options.steps < 1) throw ConfigError("training.steps: must be at least 1");
  if (options.warmup_steps < 0) throw ConfigError("lr_scheduler.warmup_steps: must be at least 0");
  if (options.decay_ratio && !is_share(*options.decay_ratio))
    throw ConfigError("lr_scheduler.decay_ratio: must be at least 0 and at most 1");
  if (!is_share(options.min_factor)) throw ConfigError("lr_scheduler.min_lr_factor: must be at least 0 and at most 1");

  const std::int64_t total = options.steps;
  if (warmup_ > total) {
    warnings_.push_back(concat("lr_scheduler.warmup_steps is ", warmup_, ", but the run has ", total,
                               " steps: the warm-up takes all of them"));
    warmup_ = total;
  }
  decay_ = total - warmup_;
  if (options.decay_ratio) {
    const std::int64_t wanted = round_half_even(static_cast<double>(total) * *options.decay_ratio);
    if (wanted > decay_)
      warnings_.push_back(concat("warm-up (", warmup_, " steps) and decay (", wanted, ") are longer than the run (",
                                 total, "): the decay takes ", decay_));
    else
      decay_ = wanted;
  }
  decay_begin_ = total + 1 - decay_;
}

}  // namespace ashlar::inline v0
