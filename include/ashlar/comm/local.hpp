// Local: the ranks are threads of one process. What tests run distributed code on: no launcher, and sanitizers see all.
// Read next: comm/local_group.hpp (how the threads meet), comm/mpi.hpp (the same over processes).
#pragma once

#include <functional>
#include <numeric>
#include <thread>

#include "ashlar/comm/communicator.hpp"
#include "ashlar/comm/local_group.hpp"
#include "ashlar/core/platform.hpp"

namespace ashlar::inline v0 {

struct LocalOptions {
  std::chrono::milliseconds timeout{30000};  // of each operation, until set_timeout
};

/// Runs work on ranks that are threads.
class LocalWorld {
 public:
  /// Calls body(world) on `size` threads, each with its rank's communicator, and returns when all have ended. Where
  /// ranks threw, rethrows the exception of the first that died: the others' were provoked by it. A body that hangs
  /// outside the communicator keeps run() from returning, though its peers time out.
  static void run(int size, const std::function<void(Communicator)>& body, LocalOptions options = {});
};

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/comm/local.ipp"
#endif
