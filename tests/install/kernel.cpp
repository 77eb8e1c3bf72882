// A kernel of the user's own, run on the emulator: it computes what it should, and its twin without a barrier is
// caught.
#include <cstdio>
#include <string>
#include <vector>

#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/runtime.hpp"

using namespace ashlar;

/// out = the elements of each block in reverse. Without the barrier a thread may read what its neighbour has not
/// written.
template <bool Barrier>
struct Reverse {
  static constexpr int threads = 64;
  struct Params {
    const float* x;
    float* out;
  };
  struct Shared {
    SharedArray<float, threads> tile;
  };
  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const index_t first = ctx.block_x() * threads;
    ctx.shared().tile[ctx.thread()] = ctx.load(p.x + first + ctx.thread());
    if constexpr (Barrier) ctx.sync();
    ctx.store(p.out + first + ctx.thread(), float(ctx.shared().tile[threads - 1 - ctx.thread()]));
  }
};

int main() {
  std::vector<float> x(128), out(128);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
  const simt::HostArray input(x), output(out);
  Cuda::Queue queue;
  launch<Reverse<true>>(queue, Grid{2}, {x.data(), out.data()});
  if (out[0] != 63 || out[127] != 64) return 1;
  try {
    launch<Reverse<false>>(queue, Grid{2}, {x.data(), out.data()});
  } catch (const simt::Fault& fault) {
    std::printf("the emulator found: %s\n", fault.what());
    return std::string(fault.what()).find("install/kernel.cpp") != std::string::npos ? 0 : 1;
  }
  return 1;
}
