// Ranks with a GPU each, for the programs of tests/device_nccl.sh: the processes that an MPI launcher started, or else
// threads of this one.
#pragma once

#include <cstdio>
#include <functional>
#include <optional>

#include "ashlar/comm/local.hpp"
#include "ashlar/comm/mpi.hpp"
#include "ashlar/comm/world.hpp"
#include "ashlar/device/build_device.hpp"

namespace ashlar::test {

class GpuRanks {
 public:
  static constexpr int count = 2;

  GpuRanks() {
    if (detail::under_mpi_launcher()) session_.emplace();
    if (Cuda::count() < count) fail(concat("these tests need ", count, " GPUs, and there are ", Cuda::count()));
    if (session_ && session_->world().size() != count)
      fail(concat("these tests run on ", count, " ranks, not on ", session_->world().size()));
  }
  bool processes() const { return session_.has_value(); }
  /// Whether this process speaks for all ranks.
  bool speaks() const { return !session_ || session_->world().rank() == 0; }
  /// Calls body with each rank's host communicator, on its GPU.
  void run(const std::function<void(Communicator)>& body) {
    const auto on_gpu = [&](Communicator world) {
      take_device<Cuda>(world);
      body(world);
    };
    session_ ? on_gpu(session_->world()) : LocalWorld::run(count, on_gpu, {.timeout = std::chrono::seconds(100)});
  }
  /// Ends all ranks with a status other than zero.
  void abort() {
    if (session_) session_->abort(1);
  }

 private:
  std::optional<MpiSession> session_;
};

}  // namespace ashlar::test
