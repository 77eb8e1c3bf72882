// wgmma finds its factors by their descriptors in every layout, and leaves its result where the manual says. The
// factors are written by hand, by formulas of their own; small whole numbers, so that sums are exact.
#include <vector>

#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/ptx.cuh"
#include "simt/device_array.hpp"

namespace {

using namespace ashlar;

/// What element (row, k) of the first and of the second factor is.
ASHLAR_HOST_DEVICE float of_a(int row, int k) {
  return static_cast<float>((5 * row + 3 * k) % 11 - 5);
}
ASHLAR_HOST_DEVICE float of_b(int row, int k) {
  return static_cast<float>((7 * row + 2 * k) % 13 - 6);
}

ASHLAR_HOST_DEVICE constexpr int row_bytes(Swizzle swizzle) {
  return swizzle == Swizzle::b128 ? 128 : swizzle == Swizzle::b64 ? 64 : swizzle == Swizzle::b32 ? 32 : 16;
}

/// A factor of `Rows` rows and 16 summed indices in shared memory.
template <int Rows, Swizzle S, bool Transposed>
struct Factor {
  static constexpr int row = row_bytes(S), wide = row / 2;  // elements of a row
  // Rows of eight summed indices lie apart: 16 Rows bytes. Unswizzled, both strides are free; swizzled, patterns of
  // eight rows follow one another.
  static constexpr int stride = S == Swizzle::none ? (Transposed ? 256 : 128) : 8 * row;
  static constexpr int leading = S == Swizzle::none ? (Transposed ? 128 : 16 * Rows) : 2 * 8 * row;

  ASHLAR_HOST_DEVICE static int offset(int r, int k) {
    if constexpr (S == Swizzle::none)
      return Transposed ? r / 8 * stride + k / 8 * leading + k % 8 * 16 + r % 8 * 2
                        : r / 8 * stride + k / 8 * leading + r % 8 * 16 + k % 8 * 2;
    else if constexpr (Transposed)
      return static_cast<int>(
          swizzled<S>(static_cast<std::uint32_t>(r / wide * leading + k / 8 * stride + k % 8 * row + r % wide * 2)));
    else
      return static_cast<int>(swizzled<S>(static_cast<std::uint32_t>(r / 8 * stride + r % 8 * row + k * 2)));
  }
  ASHLAR_DEVICE static std::uint64_t descriptor(std::uint32_t address) {
    return ptx::descriptor(address, leading, stride, S);
  }
};

template <int N, Swizzle S, bool TransposeA, bool TransposeB, bool InRegisters>
struct Multiply {
  static constexpr int threads = 128, min_blocks = 1, arch = 90;
  struct Params {
    float* d;  // [64, N]
  };
  using A = Factor<64, S, TransposeA>;
  using B = Factor<N, S, TransposeB>;
  static constexpr int bytes = 64 * 128 * (N > 64 ? 4 : 1);
  struct Shared {
    alignas(1024) SharedArray<bf16, bytes / 2> a, b;
  };

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    Shared& s = ctx.shared();
    for (int i = ctx.thread(); i < 64 * 16; i += threads)
      s.a[A::offset(i / 16, i % 16) / 2] = bf16(of_a(i / 16, i % 16));
    for (int i = ctx.thread(); i < N * 16; i += threads)
      s.b[B::offset(i / 16, i % 16) / 2] = bf16(of_b(i / 16, i % 16));
    ptx::fence_async();
    ctx.sync();

    const int row = 16 * ctx.warp() + ctx.lane() / 4, col = 2 * (ctx.lane() % 4);
    float d[N / 2];
    for (float& x : d) x = 1;
    ptx::hold(d);
    const std::uint64_t b = B::descriptor(ptx::address(&s.b[0]));
    if constexpr (InRegisters) {
      std::uint32_t a[4];
      for (int r = 0; r < 4; ++r) {
        const int at = row + 8 * (r % 2), k = col + 8 * (r / 2);
        a[r] = ptx::pack(of_a(at, k), of_a(at, k + 1));
      }
      ptx::hold(a);
      ptx::wgmma_fence();
      ptx::wgmma_rs<TransposeB>(d, a, b, 0);  // 0: the ones are gone
      ptx::wgmma_rs<TransposeB>(d, a, b, 1);
    } else {
      const std::uint64_t a = A::descriptor(ptx::address(&s.a[0]));
      ptx::wgmma_fence();
      ptx::wgmma_ss<TransposeA, TransposeB>(d, a, b, 0);
      ptx::wgmma_ss<TransposeA, TransposeB>(d, a, b, 1);
    }
    ptx::wgmma_commit();
    ptx::wgmma_wait<0>();
    ptx::hold(d);
    for (int i = 0; i < N / 2; ++i) ctx.store(p.d + (row + 8 * (i / 2 % 2)) * N + col + 8 * (i / 4) + i % 2, d[i]);
  }
};

template <int N, Swizzle S, bool TransposeA, bool TransposeB, bool InRegisters = false>
void is_exact() {
  CAPTURE(N, static_cast<int>(S), TransposeA, TransposeB, InRegisters);
  std::vector<float> expected(64 * N);
  for (int row = 0; row < 64; ++row)
    for (int col = 0; col < N; ++col) {
      float sum = 0;
      for (int k = 0; k < 16; ++k) sum += of_a(row, k) * of_b(col, k);
      expected[static_cast<std::size_t>(row * N + col)] = 2 * sum;
    }
  Cuda::Queue queue;
  DeviceArray<float> d(64 * N);
  launch<Multiply<N, S, TransposeA, TransposeB, InRegisters>>(queue, Grid{1}, {d.get()});
  CHECK(d.download(queue) == expected);
}

template <Swizzle S>
void is_exact_in_every_orientation() {
  is_exact<64, S, false, false>();
  is_exact<64, S, false, true>();
  is_exact<64, S, true, false>();
  is_exact<64, S, true, true>();
}

}  // namespace

TEST_CASE("wgmma finds its factors in every swizzle and orientation") {
  under_every_schedule([] {
    is_exact_in_every_orientation<Swizzle::none>();
    is_exact_in_every_orientation<Swizzle::b32>();
    is_exact_in_every_orientation<Swizzle::b64>();
    is_exact_in_every_orientation<Swizzle::b128>();
  });
}

TEST_CASE("wgmma takes its first factor from registers, and has results of many widths") {
  is_exact<64, Swizzle::b128, false, false, true>();
  is_exact<64, Swizzle::b128, false, true, true>();
  is_exact<16, Swizzle::b32, false, true>();
  is_exact<80, Swizzle::b128, false, false>();
  is_exact<128, Swizzle::b128, false, true>();
  is_exact<192, Swizzle::b128, false, true, true>();
  is_exact<256, Swizzle::b128, true, true>();
}
