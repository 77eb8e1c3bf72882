// Programmatic launches, which may begin before the launch before them has ended, wait before they touch what it wrote.
#include <string>
#include <vector>

#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/ptx.cuh"
#include "simt/device_array.hpp"

namespace {

using namespace ashlar;

/// y[i] = x[i] + 1, and what is needed for that alone before the wait: the launch's own numbers.
template <bool Waits>
struct AddOne {
  static constexpr int threads = 64, arch = 90;
  static constexpr bool programmatic = true;
  using Shared = NoShared;
  struct Params {
    const float* x;
    float* y;
  };
  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const index_t i = ctx.block_x() * threads + ctx.thread();
    if constexpr (Waits) ptx::wait_previous_launch();
    ctx.store(p.y + i, ctx.load(p.x + i) + 1);
    ptx::start_next_launch();
  }
};

}  // namespace

TEST_CASE("A chain of programmatic launches") {
  Cuda::Queue queue;
  const DeviceArray<float> x(queue, std::vector<float>(128, 1.0f));
  DeviceArray<float> y(128), z(128);
  under_every_schedule([&] {
    launch<AddOne<true>>(queue, Grid{2}, {x.get(), y.get()});
    launch<AddOne<true>>(queue, Grid{2}, {y.get(), z.get()});
    launch<AddOne<true>>(queue, Grid{2}, {z.get(), y.get()});
    CHECK(y.download(queue) == std::vector<float>(128, 4.0f));
  });
}

#if ASHLAR_CUDA_EMULATED
TEST_CASE("A programmatic launch that doesn't wait for the launch before is caught") {
  Cuda::Queue queue;
  const DeviceArray<float> x(queue, std::vector<float>(128, 1.0f));
  DeviceArray<float> y(128), z(128);
  under_every_schedule([&] {
    launch<AddOne<true>>(queue, Grid{2}, {x.get(), y.get()});
    CHECK_THROWS_WITH(launch<AddOne<false>>(queue, Grid{2}, {y.get(), z.get()}),
                      ContainsText("ptx::wait_previous_launch first"));
  });
}
#endif
