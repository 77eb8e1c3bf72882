// Times work on the Cuda device with events, beside the host's harness.hpp: the queue is never empty while the clock
// runs, so that the time of a launch does not count where the device is the slower one. Read next: kernels/board.hpp.
#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>

#include "ashlar/device/cuda/runtime.hpp"
#include "harness.hpp"

namespace ashlar::benchmark {

/// Two points on a queue, and the device's time between them.
class DeviceClock {
 public:
  explicit DeviceClock(Cuda::Queue& queue) : stream_(static_cast<cudaStream_t>(queue.stream())) {
    for (cudaEvent_t& event : events_) detail::check_cuda(cudaEventCreate(&event), "cudaEventCreate", "");
  }
  ~DeviceClock() {
    for (cudaEvent_t event : events_) cudaEventDestroy(event);
  }
  DeviceClock(const DeviceClock&) = delete;
  DeviceClock& operator=(const DeviceClock&) = delete;

  void start() { record(events_[0]); }
  void stop() { record(events_[1]); }
  /// Waits for stop().
  double seconds() {
    float milliseconds = 0;
    detail::check_cuda(cudaEventSynchronize(events_[1]), "cudaEventSynchronize", detail::earlier_kernel_remedy);
    detail::check_cuda(cudaEventElapsedTime(&milliseconds, events_[0], events_[1]), "cudaEventElapsedTime", "");
    return milliseconds * 1e-3;
  }

 private:
  void record(cudaEvent_t event) {
    detail::check_cuda(cudaEventRecord(event, stream_), "cudaEventRecord", detail::earlier_kernel_remedy);
  }

  cudaStream_t stream_;
  cudaEvent_t events_[2] = {};
};

/// Fills side.seconds with the time of one run each: means over rounds of several runs, so that a round is long beside
/// the clock's steps. About `budget` seconds in all, and at least five rounds.
inline void time_on_device(Side& side, Cuda::Queue& queue, double budget = 0.3) {
  constexpr double round_seconds = 4e-3;
  DeviceClock clock(queue);
  const auto round = [&](int runs) {
    clock.start();
    for (int i = 0; i < runs; ++i) side.run();
    clock.stop();
    return clock.seconds() / runs;
  };
  round(1);
  const double once = round(2);
  const int runs = std::clamp(static_cast<int>(round_seconds / once), 1, 200);
  const int rounds = std::clamp(static_cast<int>(budget / (runs * once)), 5, 40);
  if (once < budget / 10) round(runs);
  for (int r = 0; r < rounds; ++r) side.seconds.push_back(round(runs));
}

}  // namespace ashlar::benchmark
