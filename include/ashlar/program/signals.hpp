// A request to stop: SIGTERM and SIGINT set a flag that the training loop reads between steps, so that it can save and
// leave. Opt-in: nothing but ashlar::main makes a StopSignals. Read next: train/trainer.hpp.
#pragma once

#include <signal.h>

#include <atomic>
#include <cstddef>
#include <memory>

#include "ashlar/core/error.hpp"

namespace ashlar::inline v0 {

/// Catches SIGTERM and SIGINT while it lives; puts back what it found when it dies. At most one lives at a time in a
/// process (the constructor throws Error otherwise), because handlers belong to the process. The first signal only sets
/// the flag; a second one of the same kind has its usual effect, so that a run that hangs can still be stopped. A
/// signal that the process was started to ignore (a background job's SIGINT) stays ignored.
class StopSignals {
 public:
  StopSignals() {
    check(!alive().exchange(true), "only one StopSignals may live at a time");
    received().store(0);
    stack_t ours{};
    ours.ss_sp = stack_.get();
    ours.ss_size = stack_bytes;
    sigaltstack(&ours, &old_stack_);
    catch_signal(SIGINT, old_interrupt_);
    catch_signal(SIGTERM, old_terminate_);
  }
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  ~StopSignals() {
    sigaction(SIGINT, &old_interrupt_, nullptr);
    sigaction(SIGTERM, &old_terminate_, nullptr);
    sigaltstack(&old_stack_, nullptr);
    alive().store(false);
  }

  /// Whether a signal has come.
  bool requested() const { return number() != 0; }
  /// The last one's number (a program stopped by it exits with 128 + number()); 0 while none has come.
  int number() const { return received().load(); }

 private:
  // A handler has no argument to reach an object by, so these two belong to the process, as the handlers do.
  static std::atomic<int>& received() {
    static constinit std::atomic<int> value{0};
    static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may only touch lock-free atomics");
    return value;
  }
  static std::atomic<bool>& alive() {
    static constinit std::atomic<bool> value{false};
    return value;
  }
  static void receive(int signal_number) { received().store(signal_number); }

  // sigaction, not std::signal: it gives back all of the old handler, the kind with three arguments included.
  static void catch_signal(int signal_number, struct sigaction& old) {
    sigaction(signal_number, nullptr, &old);
    if (!(old.sa_flags & SA_SIGINFO) && old.sa_handler == SIG_IGN) return;
    struct sigaction ours {};
    ours.sa_handler = &StopSignals::receive;
    // No interrupted reads; the second one is not ours; on stack_.
    ours.sa_flags = static_cast<int>(SA_RESTART | SA_RESETHAND | SA_ONSTACK);
    sigemptyset(&ours.sa_mask);
    sigaction(signal_number, &ours, nullptr);
  }

  // Handlers have a stack of their own: some of oneDNN's products run on a small one from the heap, which a signal's
  // frame (kilobytes of vector registers) would overflow into the heap. It is the stack of the thread that makes this
  // object, which should be the main thread: the system prefers that one for the process's signals.
  static constexpr std::size_t stack_bytes = 65536;
  std::unique_ptr<std::byte[]> stack_{new std::byte[stack_bytes]};
  stack_t old_stack_{};
  struct sigaction old_interrupt_ {};
  struct sigaction old_terminate_ {};
};

}  // namespace ashlar::inline v0
