// In which order the emulator runs the threads of a block, chosen by a test for its own host thread.
// Read next: emulator/block.hpp (who obeys it).
#pragma once

#include <cstdint>
#include <random>

namespace ashlar::inline v0::simt {

/// round_robin: every thread in turn, each until it blocks. random: any runnable thread, switching also at memory
/// accesses and atomics. adversarial: one thread runs until it blocks and goes on as soon as it can; the others starve;
/// blocks and threads come last to first.
enum class Schedule { round_robin, random, adversarial };

namespace detail {

struct ScheduleState {
  Schedule mode = Schedule::round_robin;
  std::minstd_rand random;

  /// True once in `n` calls under the random schedule, never under the others.
  bool one_in(unsigned n) { return mode == Schedule::random && random() % n == 0; }
};

inline ScheduleState& schedule_state() {
  thread_local ScheduleState state;
  return state;
}

}  // namespace detail

/// Kernels that this host thread launches run under `mode` for the lifetime of the object. Scopes nest.
class ScheduleScope {
 public:
  explicit ScheduleScope(Schedule mode, std::uint64_t seed = 1) : saved_(detail::schedule_state()) {
    detail::schedule_state() = {mode, std::minstd_rand(static_cast<unsigned>(seed * 2654435761u % 2147483646u + 1))};
  }
  ~ScheduleScope() { detail::schedule_state() = saved_; }
  ScheduleScope(const ScheduleScope&) = delete;
  ScheduleScope& operator=(const ScheduleScope&) = delete;

 private:
  detail::ScheduleState saved_;
};

}  // namespace ashlar::inline v0::simt
