// ldmatrix, stmatrix, mma and cp.async in the layouts of the hardware, and named barriers of which some threads only
// arrive.
#include <vector>

#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/ptx.cuh"
#include "simt/device_array.hpp"

namespace {

using namespace ashlar;

/// Four matrices of 8 x 8 go through ldmatrix and stmatrix, each transposed or not.
struct Shuffle {
  static constexpr int threads = 32, arch = 90;
  struct Params {
    bool transpose_load, transpose_store;
    const bf16* x;  // [4, 8, 8]
    bf16* out;
    std::uint32_t* registers;  // [32, 4], as loaded
  };
  struct Shared {
    alignas(16) SharedArray<bf16, 256> x, out;
  };
  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    Shared& s = ctx.shared();
    for (int i = ctx.lane(); i < 256; i += 32) s.x[i] = ctx.load(p.x + i);
    ctx.sync();
    std::uint32_t r[4];
    const std::uint32_t from = ptx::address(&s.x[0]) + ctx.lane() * 16, to = ptx::address(&s.out[0]) + ctx.lane() * 16;
    if (p.transpose_load)
      ptx::ldmatrix_transposed(r, from);
    else
      ptx::ldmatrix(r, from);
    for (int i = 0; i < 4; ++i) ctx.store(p.registers + ctx.lane() * 4 + i, r[i]);
    if (p.transpose_store)
      ptx::stmatrix_transposed(to, r[0], r[1], r[2], r[3]);
    else
      ptx::stmatrix(to, r[0], r[1], r[2], r[3]);
    ctx.sync();
    for (int i = ctx.lane(); i < 256; i += 32) ctx.store(p.out + i, bf16(float(s.out[i])));
  }
};

/// d [16, 8] = c + a [16, 16] b [16, 8] by one mma, a and b through cp.async and ldmatrix, as kernels for sm_80 do.
struct Small {
  static constexpr int threads = 32, arch = 90;
  struct Params {
    const bf16 *a, *b;  // [16, 16], [16, 8]
    float* d;           // [16, 8]
    bool by_barrier;    // wait by an mbarrier
  };
  struct Shared {
    alignas(16) SharedArray<bf16, 256> a;
    alignas(16) SharedArray<bf16, 256> b;  // the second half stays zero
    ptx::Barrier full;
  };
  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    Shared& s = ctx.shared();
    const int lane = ctx.lane();
    if (lane == 0) {
      ptx::init(s.full, 32);
      ptx::fence_barrier_init();
    }
    ctx.sync();
    ptx::copy16(&s.a[lane * 8], p.a + lane * 8);
    if (!p.by_barrier) ptx::commit_copies();
    ptx::copy16(&s.b[lane * 8], p.b + lane % 16 * 8, lane < 16 ? 16 : 0);
    if (p.by_barrier) {
      ptx::arrive_after_copies(s.full);
      ptx::wait(s.full, 0);
    } else {
      ptx::commit_copies();
      ptx::wait_copies<0>();
      ctx.sync();
    }
    std::uint32_t a[4], b[2];
    ptx::ldmatrix(a, ptx::address(&s.a[0]) + lane % 16 * 32 + lane / 16 * 16);
    ptx::ldmatrix_transposed(b, ptx::address(&s.b[0]) + lane % 16 * 16);
    float d[4] = {1, 1, 1, 1};
    ptx::mma(d, a, b[0], b[1]);
    for (int i = 0; i < 4; ++i) ctx.store(p.d + (lane / 4 + 8 * (i / 2)) * 8 + 2 * (lane % 4) + i % 2, d[i]);
    for (int i = lane; i < 128; i += 32) ctx.store(p.d + 128 + i, float(s.b[128 + i]));
  }
};

/// Warp 0 fills, warp 1 takes: warp 0 never waits for what it only tells.
struct Tell {
  static constexpr int threads = 64;
  struct Params {
    int* out;  // [32]
  };
  struct Shared {
    SharedArray<int, 32> x;
  };
  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    if (ctx.warp() == 0) {
      ctx.shared().x[ctx.lane()] = 7 * ctx.lane();
      ptx::bar_arrive(1, 64);
    } else {
      ptx::bar_sync(1, 64);
      ctx.store(p.out + ctx.lane(), int(ctx.shared().x[31 - ctx.lane()]));
    }
  }
};

/// One lane of each warp is chosen, each time the same.
struct Chosen {
  static constexpr int threads = 64, arch = 90;
  using Shared = NoShared;
  struct Params {
    int* count;  // [2]
  };
  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const bool first = ptx::elect(), second = ptx::elect();
    if (first) ctx.atomic_add(p.count + ctx.warp(), 1);
    if (first != second) ctx.atomic_add(p.count + ctx.warp(), 100);
  }
};

}  // namespace

TEST_CASE("Lane l has elements 2 (l mod 4) and the next of row l / 4 of each matrix, or of column l / 4") {
  Cuda::Queue queue;
  std::vector<bf16> x;
  for (int i = 0; i < 256; ++i) x.emplace_back(static_cast<float>(i));
  const DeviceArray<bf16> from(queue, x);
  under_every_schedule([&] {
    for (const bool load : {false, true})
      for (const bool store : {false, true}) {
        DeviceArray<bf16> out(256);
        DeviceArray<std::uint32_t> registers(128);
        launch<Shuffle>(queue, Grid{1}, {load, store, from.get(), out.get(), registers.get()});
        std::vector<std::uint32_t> expected;
        for (int lane = 0; lane < 32; ++lane)
          for (int matrix = 0; matrix < 4; ++matrix) {
            const int i = lane / 4, j = 2 * (lane % 4), step = load ? 8 : 1;
            const int at = matrix * 64 + (load ? j * 8 + i : i * 8 + j);
            expected.push_back(std::uint32_t{x[static_cast<std::size_t>(at)].bits} |
                               std::uint32_t{x[static_cast<std::size_t>(at + step)].bits} << 16);
          }
        CHECK(registers.download(queue) == expected);
        const std::vector<bf16> got = out.download(queue);
        for (int i = 0; i < 256; ++i) {
          const int turned = i / 64 * 64 + i % 8 * 8 + i / 8 % 8;
          REQUIRE(float(got[static_cast<std::size_t>(i)]) == static_cast<float>(load != store ? turned : i));
        }
      }
  });
}

TEST_CASE("mma of matrices that cp.async brings") {
  Cuda::Queue queue;
  std::vector<bf16> a, b;
  for (int i = 0; i < 256; ++i) a.emplace_back(static_cast<float>((3 * i) % 7 - 3));
  for (int i = 0; i < 128; ++i) b.emplace_back(static_cast<float>((5 * i) % 9 - 4));
  std::vector<float> expected(256, 0.0f);
  for (std::size_t row = 0; row < 16; ++row)
    for (std::size_t col = 0; col < 8; ++col) {
      float sum = 1;
      for (std::size_t k = 0; k < 16; ++k) sum += float(a[row * 16 + k]) * float(b[k * 8 + col]);
      expected[row * 8 + col] = sum;
    }
  const DeviceArray<bf16> on_a(queue, a), on_b(queue, b);
  under_every_schedule([&] {
    for (const bool by_barrier : {false, true}) {
      DeviceArray<float> d(256);
      launch<Small>(queue, Grid{1}, {on_a.get(), on_b.get(), d.get(), by_barrier});
      CHECK(d.download(queue) == expected);
    }
  });
}

TEST_CASE("A named barrier that one warp only arrives at orders it before the other") {
  Cuda::Queue queue;
  std::vector<int> expected;
  for (int i = 0; i < 32; ++i) expected.push_back(7 * (31 - i));
  under_every_schedule([&] {
    DeviceArray<int> out(32);
    launch<Tell>(queue, Grid{1}, {out.get()});
    CHECK(out.download(queue) == expected);
  });
}

TEST_CASE("elect chooses one lane of a warp, whichever") {
  Cuda::Queue queue;
  under_every_schedule([&] {
    DeviceArray<int> count(queue, std::vector<int>(2, 0));
    launch<Chosen>(queue, Grid{3}, {count.get()});
    CHECK(count.download(queue) == std::vector<int>(2, 3));
  });
}
