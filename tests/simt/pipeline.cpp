// The pipeline that the comment of device/cuda/ptx.cuh shows, as it stands there: loads by the copy engine, products by
// wgmma, a store by the copy engine. Small whole numbers, so that the result is exact in any order.
#include <vector>

#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/ptx.cuh"
#include "simt/device_array.hpp"

namespace {

using namespace ashlar;

struct Product {
  static constexpr int threads = 256, stages = 4;
  static constexpr int min_blocks = 1;  // without it more_registers is ignored
  static constexpr int arch = 90;       // the body is compiled for sm_90a alone
  struct Params {
    ptx::TensorMap a, b, d;  // boxes of 64 x 64, Swizzle::b128
    int steps;               // K / 64, rounded up: what lies beyond loads as zero
  };
  struct Shared {  // above 48 KiB it is dynamic; launch sees to it
    struct Tile {
      alignas(1024) SharedArray<bf16, 64 * 64> elements;
    };
    Tile a[stages], b[stages], d;
    ptx::Barrier full[stages], empty[stages];
  };

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    Shared& s = ctx.shared();
    if (ctx.thread() == 0) {
      for (int i = 0; i < stages; ++i) ptx::init(s.full[i], 1), ptx::init(s.empty[i], 1);
      ptx::fence_barrier_init();
    }
    ctx.sync();
    if (ctx.thread() < 128) {
      ptx::fewer_registers<40>();  // by the whole warpgroup
      if (ctx.thread() == 0) load(p, s);
    } else {
      ptx::more_registers<232>();
      multiply(p, ctx);
    }
  }

  ASHLAR_DEVICE static void load(const Params& p, Shared& s) {
    for (int i = 0; i < p.steps; ++i) {
      const int at = i % stages, parity = i / stages % 2;
      ptx::wait(s.empty[at], parity ^ 1);                           // of a new barrier, parity 1 counts as over
      ptx::arrive_expecting(s.full[at], 2 * 64 * 64 * 2);           // all bytes of the boxes, those outside too
      ptx::load(&s.a[at].elements[0], p.a, s.full[at], 64 * i, 0);  // column, row: innermost first
      ptx::load(&s.b[at].elements[0], p.b, s.full[at], 64 * i, 0);
    }
  }

  ASHLAR_DEVICE static void multiply(const Params& p, Simt<Shared>& ctx) {
    Shared& s = ctx.shared();
    const int thread = ctx.thread() % 128, row = thread / 32 * 16 + ctx.lane() % 16;
    float d[32];  // [64, 64]: 32 numbers a thread
    for (float& x : d) x = 0;
    for (int i = 0; i < p.steps; ++i) {
      const int at = i % stages, parity = i / stages % 2;
      ptx::wait(s.full[at], parity);
      const auto a = ptx::address(&s.a[at].elements[0]), b = ptx::address(&s.b[at].elements[0]);
      ptx::hold(d);
      ptx::wgmma_fence();
#pragma unroll
      for (int k = 0; k < 4; ++k)  // 16 columns an instruction, 32 bytes
        ptx::wgmma_ss<0, 0>(d, ptx::descriptor(a + 32 * k), ptx::descriptor(b + 32 * k), 1);
      ptx::wgmma_commit();
      ptx::wgmma_wait<0>();  // <1> would keep one step in flight
      ptx::hold(d);
      if (thread == 0) ptx::arrive(s.empty[at]);
    }
    const auto to = ptx::address(&s.d.elements[0]);
#pragma unroll
    for (int j = 0; j < 8; j += 2)  // two 8-column pieces of 16 rows a stmatrix
      ptx::stmatrix(to + swizzled<Swizzle::b128>(row * 128 + (j + ctx.lane() / 16) * 16),
                    ptx::pack(d[4 * j], d[4 * j + 1]), ptx::pack(d[4 * j + 2], d[4 * j + 3]),
                    ptx::pack(d[4 * j + 4], d[4 * j + 5]), ptx::pack(d[4 * j + 6], d[4 * j + 7]));
    ptx::fence_async();     // by every thread that wrote,
    ptx::bar_sync(1, 128);  // then a barrier, then one thread starts the store
    if (thread == 0) {
      ptx::store(p.d, &s.d.elements[0], 0, 0);
      ptx::commit_stores();
      ptx::wait_stores();  // shared memory must live until it is read
    }
  }
};

/// d[i, j] = the sum over k of a[i, k] b[j, k].
void product_is_right(index_t k) {
  Cuda::Queue queue;
  std::vector<bf16> a, b;
  std::vector<float> expected(64 * 64, 0.0f);
  const auto of_a = [](index_t i, index_t s) { return static_cast<float>((3 * i + 5 * s) % 7 - 3); };
  const auto of_b = [](index_t j, index_t s) { return static_cast<float>((2 * j + 3 * s) % 5 - 2); };
  for (index_t i = 0; i < 64; ++i)
    for (index_t s = 0; s < k; ++s) a.emplace_back(of_a(i, s)), b.emplace_back(of_b(i, s));
  for (index_t i = 0; i < 64; ++i)
    for (index_t j = 0; j < 64; ++j) {
      float sum = 0;
      for (index_t s = 0; s < k; ++s) sum += of_a(i, s) * of_b(j, s);
      expected[static_cast<std::size_t>(i * 64 + j)] = bf16(sum);
    }
  DeviceArray<bf16> on_a(queue, a), on_b(queue, b), d(64 * 64);
  const auto box = [](bf16* x, index_t rows, index_t cols) {
    return tensor_map(x, TensorMapShape<2>{{cols, rows}, {cols}, {64, 64}});
  };
  launch<Product>(
      queue, Grid{1},
      {box(on_a.get(), 64, k), box(on_b.get(), 64, k), box(d.get(), 64, 64), static_cast<int>((k + 63) / 64)});
  const std::vector<bf16> got = d.download(queue);
  CHECK(std::vector<float>(got.begin(), got.end()) == expected);
}

}  // namespace

TEST_CASE("A pipeline of the copy engine and wgmma gives the exact product, also past the edge of its factors") {
  for (const index_t k : {64, 200, 640}) {
    CAPTURE(k);
    under_every_schedule([&] { product_is_right(k); });
  }
}
