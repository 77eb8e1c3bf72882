#include "ashlar/program/signals.hpp"

#include "catch.hpp"

using namespace ashlar;

namespace {

volatile sig_atomic_t outer_calls = 0;
void outer_handler(int, siginfo_t*, void*) {
  outer_calls = outer_calls + 1;
}

struct sigaction action_of(int signal_number) {
  struct sigaction action {};
  sigaction(signal_number, nullptr, &action);
  return action;
}

/// Installs a handler, and puts back the old one at the end. (Catch2 has handlers of its own.)
struct Installed {
  int signal_number;
  struct sigaction old {};
  Installed(int number, const struct sigaction& action) : signal_number(number) { sigaction(number, &action, &old); }
  ~Installed() { sigaction(signal_number, &old, nullptr); }
};

}  // namespace

TEST_CASE("a signal sets the flag and nothing else") {
  for (int signal_number : {SIGTERM, SIGINT}) {
    const StopSignals stop;
    CHECK(!stop.requested());
    CHECK(stop.number() == 0);
    raise(signal_number);
    CHECK(stop.requested());
    CHECK(stop.number() == signal_number);
    // The next one of the same kind is the system's: it ends a run that hangs.
    CHECK(action_of(signal_number).sa_handler == SIG_DFL);
  }
  const StopSignals fresh;
  CHECK(!fresh.requested());
}

TEST_CASE("the old handlers come back whole") {
  struct sigaction ours {};
  ours.sa_sigaction = &outer_handler;
  ours.sa_flags = SA_SIGINFO;
  const Installed outer(SIGTERM, ours);
  outer_calls = 0;
  {
    const StopSignals stop;
    raise(SIGTERM);
    CHECK(outer_calls == 0);
  }
  CHECK((action_of(SIGTERM).sa_flags & SA_SIGINFO) != 0);
  raise(SIGTERM);
  CHECK(outer_calls == 1);
}

TEST_CASE("a signal that is ignored stays ignored") {
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  const Installed outer(SIGINT, ignore);
  const StopSignals stop;
  raise(SIGINT);
  CHECK(!stop.requested());
}

TEST_CASE("one watcher lives at a time") {
  {
    const StopSignals stop;
    CHECK_THROWS_AS(StopSignals(), Error);
    raise(SIGTERM);
    CHECK(stop.requested());  // the failed one has changed nothing
  }
  CHECK_NOTHROW(StopSignals());
}
