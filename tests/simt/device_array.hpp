// What tests of kernels hold: device memory that frees itself, and a run under every schedule. On the emulator and on a
// GPU.
#pragma once

#include <vector>

#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/runtime.hpp"
#include "catch.hpp"

namespace ashlar::inline v0 {

template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(std::size_t n) : n_(n), p_(static_cast<T*>(Cuda::allocate(n * sizeof(T)))) {}
  DeviceArray(Cuda::Queue& queue, const std::vector<T>& host) : DeviceArray(host.size()) {
    Cuda::upload(queue, p_, host.data(), n_ * sizeof(T));
  }
  ~DeviceArray() { Cuda::deallocate(p_, n_ * sizeof(T)); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  T* get() const { return p_; }
  std::vector<T> download(Cuda::Queue& queue) const {
    std::vector<T> host(n_);
    Cuda::download(queue, host.data(), p_, n_ * sizeof(T));
    return host;
  }

 private:
  std::size_t n_;
  T* p_;
};

/// Runs the test for every schedule, random with several seeds; on a GPU once.
template <class F>
void under_every_schedule(F&& test) {
#if ASHLAR_CUDA_EMULATED
  using simt::Schedule;
  for (const auto mode : {Schedule::round_robin, Schedule::random, Schedule::adversarial})
    for (std::uint64_t seed = 1; seed <= (mode == Schedule::random ? 5u : 1u); ++seed) {
      CAPTURE(static_cast<int>(mode), seed);
      const simt::ScheduleScope scope(mode, seed);
      test();
    }
#else
  test();
#endif
}

}  // namespace ashlar::inline v0
