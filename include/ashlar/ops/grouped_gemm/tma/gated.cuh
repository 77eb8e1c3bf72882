// SwiGLU inside of the products beside it. The up-projections of w1 and w3 are one product whose tile has columns of
// both, so a thread holds gate and up of the same element and makes h in registers; nothing is read again.
// Read next: ops/swiglu/swiglu.hpp (what is computed).
//
//   GatedOutput   gate = x w1^T, up = x w3^T, h = silu(gate) up      w1, w3 [E, F, K]; gate, up, h [rows, F]
#pragma once

#include "ashlar/ops/grouped_gemm/tma/epilogue.cuh"

namespace ashlar::inline v0::ops::cuda::grouped {

/// Problem::cols is 2 F: the first half of a tile's columns are of w1, the second the same of w3.
template <GroupedGemmPlan Plan>
struct GatedOutput {
  static constexpr Grouped by = Grouped::result;
  static constexpr int half = Plan.cols / 2;
  using A = Slice<Contiguous::summed, Plan.rows, Plan.depth>;
  using B = Slice<Contiguous::summed, Plan.cols, Plan.depth>;
  struct Factors {
    ptx::TensorMap x;       // ragged
    ptx::TensorMap w1, w3;  // [E, F, K], boxes of half as many rows as the tile has columns
  };

  ASHLAR_DEVICE static void load(const Factors& f, const Tile& t, int step, A& a, B& b, ptx::Barrier& full) {
    const RaggedRow row(t.begin, t.rows, t.row);
    for (int i = 0; i < A::boxes; ++i) {
      const int k = step * Plan.depth + 64 * i;
      ptx::load(a.box(i), f.x, full, k, row.row, row.shift, row.wrap);
      ptx::load(b.box(i), f.w1, full, k, t.col / 2, t.group);
      ptx::load(b.box(i, half), f.w3, full, k, t.col / 2, t.group);
    }
  }
};

/// Two numbers rounded to bf16. (Without branches: around wgmma, the compiler gives up where paths diverge.)
struct Rounded {
  float first, second;
  ASHLAR_DEVICE Rounded(float a, float b) {
    const std::uint32_t both = ptx::pack(a, b);
    first = __builtin_bit_cast(float, both << 16);
    second = __builtin_bit_cast(float, both & 0xffff0000u);
  }
};

/// 1 / (1 + e^-x), without the branches of a division.
template <class Context>
ASHLAR_DEVICE float sigmoid(const Context& ctx, float x) {
  const float root = ctx.rsqrt(1.0f + ctx.exp(-x));
  return root * root;
}
template <class Context>
ASHLAR_DEVICE float silu(const Context& ctx, float x) {
  return x * sigmoid(ctx, x);
}

/// gate, up and h from the sums of GatedOutput. Gate and up are rounded first: h is what ops::swiglu makes of them.
template <GroupedGemmPlan Plan>
class GatedResult {
 public:
  struct Params {
    ptx::TensorMap gate, up, h;  // ragged, boxes of 16 rows
  };
  using Staging = typename SliceStore<bf16, Plan.slices>::Staging;

  template <class Context>
  ASHLAR_DEVICE GatedResult(const Context&, const Problem& p, const Params& maps, Staging& staging)
      : problem_(p), maps_(maps), store_(staging) {}

  template <class Context, int Strips, int N>
  ASHLAR_DEVICE bool begin(const Context&, const Tile& tile, int, float (&sums)[Strips][N]) {
    if (tile.steps == 0) clear(sums);
    return false;
  }

  template <class Context, int N>
  ASHLAR_DEVICE void put(const Context& ctx, const Tile& tile, int row, const float (&sums)[N]) {
    const int first = tile.row + row + ctx.warp() % 4 * slice_rows;
    if (first >= tile.rows) return;
    const RaggedRow at(tile.begin, tile.rows, first);
#pragma unroll
    for (int i = 0; i < N / 64; ++i) {  // 64 columns of gate are 32 numbers a thread, and so are those of up
      const int col = tile.col / 2 + 64 * i;
      if (2 * col >= problem_.cols) break;
      const auto to = [&](const ptx::TensorMap& map) {
        return [&](const void* slice) { ptx::store(map, slice, col, at.row, at.shift, at.wrap); };
      };
      store_.put(ctx, sums, 64 * i, to(maps_.gate));
      store_.put(ctx, sums, N + 64 * i, to(maps_.up));
      float h[32];
#pragma unroll
      for (int j = 0; j < 32; j += 2) {
        const float* const gate = sums + 32 * i + j;
        const Rounded g(gate[0], gate[1]), u(gate[N / 2], gate[N / 2 + 1]);
        h[j] = silu(ctx, g.first) * u.first;
        h[j + 1] = silu(ctx, g.second) * u.second;
      }
      store_.put(ctx, h, 0, to(maps_.h));
    }
  }
  template <class Context>
  ASHLAR_DEVICE void finish(const Context& ctx) {
    store_.finish(ctx);
  }

 private:
  const Problem& problem_;
  const Params& maps_;
  SliceStore<bf16, Plan.slices> store_;
};

}  // namespace ashlar::inline v0::ops::cuda::grouped
