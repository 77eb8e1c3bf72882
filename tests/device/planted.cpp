// A fault for each tool of compute-sanitizer, so that tests/device.sh knows that the tools see kernels of ours. Usage:
// device_planted TOOL. The status says nothing: what counts is what the tool reports.
#include <cstdio>
#include <string_view>

#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/runtime.hpp"

namespace {

using namespace ashlar;

struct Params {
  int* x;    // [64], unwritten
  int* out;  // [64]
};
struct NoSharedMemory {};

/// memcheck: a store past the end.
struct StoresPastTheEnd {
  using Params = ::Params;
  using Shared = NoSharedMemory;
  static constexpr int threads = 64;
  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& self) { self.store(p.out + self.thread() + 1, 1); }
};
/// racecheck: another warp's element of shared memory, without a barrier.
struct ReadsTooEarly {
  using Params = ::Params;
  struct Shared {
    SharedArray<int, 64> x;
  };
  static constexpr int threads = 64;
  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& self) {
    self.shared().x[self.thread()] = self.thread();
    const int other = self.shared().x[(self.thread() + 32) % 64];
    self.store(p.out + self.thread(), other);
  }
};
/// initcheck: memory that nothing wrote.
struct ReadsUnwritten {
  using Params = ::Params;
  using Shared = NoSharedMemory;
  static constexpr int threads = 64;
  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& self) {
    self.store(p.out + self.thread(), self.load(p.x + self.thread()));
  }
};
/// synccheck: a barrier that half of each warp leaves out, and one of a warp by lanes that its mask does not name. (A
/// warp that has returned counts as arrived: that is no fault on a GPU, and is one on the emulator.)
struct LeavesOutABarrier {
  using Params = ::Params;
  using Shared = NoSharedMemory;
  static constexpr int threads = 64;
  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& self) {
    if (self.thread() % 32 < 16) self.sync();
    self.sync_warp(1u);
    self.store(p.out + self.thread(), 1);
  }
};

}  // namespace

int main(int count, char** arguments) try {
  const std::string_view tool = count > 1 ? arguments[1] : "";
  Cuda::Queue queue;
  const Params params{static_cast<int*>(Cuda::allocate(256)), static_cast<int*>(Cuda::allocate(256))};
  if (tool == "memcheck") launch<StoresPastTheEnd>(queue, {}, params);
  if (tool == "racecheck") launch<ReadsTooEarly>(queue, {}, params);
  if (tool == "initcheck") launch<ReadsUnwritten>(queue, {}, params);
  if (tool == "synccheck") launch<LeavesOutABarrier>(queue, {}, params);
  Cuda::synchronize(queue);
} catch (const Error& e) {
  std::fprintf(stderr, "%s\n", e.what());
}
