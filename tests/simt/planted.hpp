// Kernels with a fault planted in them, of the asynchronous instructions, and what they have in common. Read next:
// simt/copy_faults.cpp, simt/warpgroup_faults.cpp.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/ptx.cuh"
#include "simt/device_array.hpp"

namespace ashlar::inline v0::planted {

using simt::Schedule;

struct Params {
  ptx::TensorMap map;  // [64, 64] of 1, boxes of 64 x 16: 2048 bytes
  ptx::TensorMap out;
  bf16* x;
  float* d;
};
struct Memory {
  alignas(1024) SharedArray<bf16, 64 * 64> tile;
  alignas(1024) SharedArray<bf16, 64 * 64> other;
  ptx::Barrier full, empty;
};
using Thread = Simt<Memory>;
constexpr int box_bytes = 2048;

template <void (*body)(const Params&, Thread&), int Threads, int Cluster>
struct Planted {
  using Params = planted::Params;
  using Shared = Memory;
  static constexpr int threads = Threads, cluster = Cluster;
  ASHLAR_DEVICE static void run(const Params& p, Thread& ctx) { body(p, ctx); }
};

/// Each launch of Planted<body> ends with a fault that has the text, or, if there is none, with none.
template <void (*body)(const Params&, Thread&), int Threads = 128, int Cluster = 1>
void faults_with(const char* text, std::initializer_list<Schedule> modes = {Schedule::round_robin, Schedule::random,
                                                                            Schedule::adversarial}) {
  Cuda::Queue queue;
  DeviceArray<bf16> x(queue, std::vector<bf16>(64 * 64, bf16(1.0f))), out(64 * 64);
  DeviceArray<float> d(64 * 64);
  const TensorMapShape<2> shape{{64, 64}, {64}, {64, 16}};
  const Params params{tensor_map(x.get(), shape), tensor_map(out.get(), shape), x.get(), d.get()};
  for (const auto mode : modes)
    for (std::uint64_t seed = 1; seed <= (mode == Schedule::random ? 5u : 1u); ++seed) {
      const simt::ScheduleScope scope(mode, seed);
      CAPTURE(static_cast<int>(mode), seed);
      std::string message;
      try {
        launch<Planted<body, Threads, Cluster>>(queue, Grid{Cluster}, params);
      } catch (const simt::Fault& fault) {
        message = fault.what();
      }
      if (*text)
        CHECK_THAT(message, ContainsText(text) && ContainsText("simt/"));
      else
        CHECK(message.empty());
    }
}

inline void make_barriers(Thread& ctx, int arrivals = 1) {
  if (ctx.thread() == 0) {
    ptx::init(ctx.shared().full, arrivals);
    ptx::init(ctx.shared().empty, arrivals);
    ptx::fence_barrier_init();
  }
  ctx.sync();
}
inline void fill(Thread& ctx, SharedArray<bf16, 64 * 64>& tile) {
  for (int i = ctx.thread(); i < 64 * 64; i += ctx.threads()) tile[i] = bf16(1.0f);
}
inline void load_box(const Params& p, Thread& ctx, int bytes = box_bytes) {
  Memory& s = ctx.shared();
  if (ctx.thread() != 0) return;
  ptx::arrive_expecting(s.full, bytes);
  ptx::load(&s.tile[0], p.map, s.full, 0, 0);
}
inline std::uint64_t descriptor(SharedArray<bf16, 64 * 64>& tile) {
  return ptx::descriptor(ptx::address(&tile[0]));
}
inline void store_box(const Params& p, Thread& ctx) {
  ptx::store(p.out, &ctx.shared().tile[0], 0, 0);
  ptx::commit_stores();
}
inline void put(const Params& p, Thread& ctx, const float (&d)[32]) {
  for (int i = 0; i < 32; ++i) ctx.store(p.d + ctx.thread() * 32 + i, d[i]);
}
/// Both factors in shared memory, fenced.
inline void prepare(Thread& ctx) {
  fill(ctx, ctx.shared().tile);
  fill(ctx, ctx.shared().other);
  ptx::fence_async();
  ctx.sync();
}
inline void start_product(Thread& ctx, float (&d)[32]) {
  ptx::wgmma_ss<0, 0>(d, descriptor(ctx.shared().tile), descriptor(ctx.shared().other), 0);
}

}  // namespace ashlar::inline v0::planted
