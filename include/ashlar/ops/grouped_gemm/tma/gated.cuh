// SwiGLU inside of the products beside it. The up-projections of w1 and w3 are one product whose tile has columns of
// both, so a thread holds gate and up of the same element and makes h in registers; nothing is read again.
// Read next: ops/swiglu/swiglu.hpp (what is computed).
//
//   GatedOutput, GatedResult   gate = x w1^T, up = x w3^T, h = silu(gate) up      w1, w3 [E, F, K]; gate, up, h [rows,
//   F] InputGradient, GatedGradient   dh = dy w2, and of it dgate and dup            w2 [E, N, F]; dy [rows, N]
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

/// Two numbers, rounded to bf16 or read as it. (Without branches: around wgmma, the compiler gives up where paths
/// diverge.)
struct Rounded {
  float first, second;
  ASHLAR_DEVICE Rounded(float a, float b) : Rounded(ptx::pack(a, b)) {}
  ASHLAR_DEVICE explicit Rounded(std::uint32_t both) {
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

/// dgate and dup from the sums dh of InputGradient, rounded first: what ops::swiglu_backward makes of it. Gate and up
/// are read while the other warpgroup multiplies.
template <GroupedGemmPlan Plan>
class GatedGradient {
 public:
  struct Params {
    Rows<const bf16> gate, up;
    ptx::TensorMap dgate, dup;  // ragged, boxes of 16 rows
  };
  using Staging = typename SliceStore<bf16, Plan.slices>::Staging;

  template <class Context>
  ASHLAR_DEVICE GatedGradient(const Context&, const Problem& p, const Params& params, Staging& staging)
      : problem_(p), params_(params), store_(staging) {}

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
    const int mine = first + ctx.lane() / 4;  // and 8 rows further
#pragma unroll
    for (int from = 0; from < 2 * N; from += store_.cols) {
      const int col = tile.col + from;
      if (col >= problem_.cols) break;
      float dgate[32], dup[32];
#pragma unroll
      for (int i = 0; i < 32; i += 2) {
        if (i == 16) ctx.sync_warp();  // no more loads than that wait in registers
        const int r = mine + i / 2 % 2 * 8, c = col + i / 4 * 8 + ctx.lane() % 4 * 2;
        const bool inside = r < tile.rows && c < problem_.cols && tile.steps > 0;
        const Rounded g(pair(ctx, params_.gate, tile.begin + r, c, inside)),
            u(pair(ctx, params_.up, tile.begin + r, c, inside)), d(sums[from / 2 + i], sums[from / 2 + i + 1]);
        derive(ctx, d.first, g.first, u.first, dgate[i], dup[i]);
        derive(ctx, d.second, g.second, u.second, dgate[i + 1], dup[i + 1]);
      }
      const auto to = [&](const ptx::TensorMap& map) {
        return [&](const void* slice) { ptx::store(map, slice, col, at.row, at.shift, at.wrap); };
      };
      store_.put(ctx, dgate, 0, to(params_.dgate));
      store_.put(ctx, dup, 0, to(params_.dup));
    }
  }
  template <class Context>
  ASHLAR_DEVICE void finish(const Context& ctx) {
    store_.finish(ctx);
  }

 private:
  /// Two columns of a row, zero outside: what is read in place of them may always be.
  template <class Context>
  ASHLAR_DEVICE std::uint32_t pair(const Context& ctx, const Rows<const bf16>& x, int row, int col, bool inside) const {
    const void* const from = inside ? static_cast<const void*>(x[row] + col) : problem_.offsets;
    const auto both = ctx.load(static_cast<const OutPair<bf16>*>(from));
    return inside ? __builtin_bit_cast(std::uint32_t, both) : 0u;
  }
  template <class Context>
  ASHLAR_DEVICE static void derive(const Context& ctx, float dh, float gate, float up, float& dgate, float& dup) {
    const float s = sigmoid(ctx, gate);
    dgate = dh * up * (s * (1.0f + gate * (1.0f - s)));
    dup = dh * (gate * s);
  }

  const Problem& problem_;
  const Params& params_;
  SliceStore<bf16, Plan.slices> store_;
};

}  // namespace ashlar::inline v0::ops::cuda::grouped
