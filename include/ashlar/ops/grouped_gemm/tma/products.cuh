// The products of grouped linear layers, y = x w^T: for each, which index of its factors is contiguous, and what a
// stage loads. Read next: ops/grouped_gemm/tma/kernel.cuh.
//
//              result              sums over   a            b
//   Output     y  [rows, N]        K           x   summed   w  summed
//   InputGradient dx [rows, K]     N           dy  summed   w  kept
//   WeightGradient dw [N, K]       rows        dy  kept     x  kept
//
// InputGradientOfTwo sums over N twice; GatedOutput (gated.cuh) has the columns of two weights.
#pragma once

#include "ashlar/ops/grouped_gemm/tma/ragged_map.cuh"
#include "ashlar/ops/grouped_gemm/tma/stage.cuh"
#include "ashlar/ops/grouped_gemm/tma/tile_walk.cuh"

namespace ashlar::inline v0::ops::cuda::grouped {

template <GroupedGemmPlan Plan>
struct Output {
  static constexpr Grouped by = Grouped::result;
  using A = Slice<Contiguous::summed, Plan.rows, Plan.depth>;
  using B = Slice<Contiguous::summed, Plan.cols, Plan.depth>;
  struct Factors {
    ptx::TensorMap x;  // ragged
    ptx::TensorMap w;  // [E, N, K]
  };

  ASHLAR_DEVICE static void load(const Factors& f, const Tile& t, int step, A& a, B& b, ptx::Barrier& full) {
    const RaggedRow row(t.begin, t.rows, t.row);
    for (int i = 0; i < A::boxes; ++i) {
      const int k = step * Plan.depth + 64 * i;
      ptx::load(a.box(i), f.x, full, k, row.row, row.shift, row.wrap);
      ptx::load(b.box(i), f.w, full, k, t.col, t.group);
    }
  }
};

template <GroupedGemmPlan Plan>
struct InputGradient {
  static constexpr Grouped by = Grouped::result;
  using A = Slice<Contiguous::summed, Plan.rows, Plan.depth>;
  using B = Slice<Contiguous::kept, Plan.cols, Plan.depth>;
  struct Factors {
    ptx::TensorMap dy;  // ragged
    ptx::TensorMap w;   // [E, N, K]
  };

  ASHLAR_DEVICE static void load(const Factors& f, const Tile& t, int step, A& a, B& b, ptx::Barrier& full) {
    const RaggedRow row(t.begin, t.rows, t.row);
    const int n = step * Plan.depth;
    for (int i = 0; i < A::boxes; ++i) ptx::load(a.box(i), f.dy, full, n + 64 * i, row.row, row.shift, row.wrap);
    for (int i = 0; i < B::boxes; ++i) ptx::load(b.box(i), f.w, full, t.col + 64 * i, n, t.group);
  }
};

/// dx = dy1 w1 + dy2 w2: first the steps of one pair, then those of the other, into the same sums.
template <GroupedGemmPlan Plan>
struct InputGradientOfTwo {
  using One = InputGradient<Plan>;
  static constexpr Grouped by = Grouped::result;
  using A = typename One::A;
  using B = typename One::B;
  struct Factors {
    typename One::Factors pair[2];
  };

  ASHLAR_DEVICE static void load(const Factors& f, const Tile& t, int step, A& a, B& b, ptx::Barrier& full) {
    const int second = step >= t.steps / 2;
    One::load(f.pair[second], t, step - second * (t.steps / 2), a, b, full);
  }
};

template <GroupedGemmPlan Plan>
struct WeightGradient {
  static constexpr Grouped by = Grouped::sum;
  using A = Slice<Contiguous::kept, Plan.rows, Plan.depth>;
  using B = Slice<Contiguous::kept, Plan.cols, Plan.depth>;
  struct Factors {
    ptx::TensorMap dy, x;  // ragged
  };

  ASHLAR_DEVICE static void load(const Factors& f, const Tile& t, int step, A& a, B& b, ptx::Barrier& full) {
    const RaggedRow row(t.begin, t.rows, step * Plan.depth);
    for (int i = 0; i < A::boxes; ++i) ptx::load(a.box(i), f.dy, full, t.row + 64 * i, row.row, row.shift, row.wrap);
    for (int i = 0; i < B::boxes; ++i) ptx::load(b.box(i), f.x, full, t.col + 64 * i, row.row, row.shift, row.wrap);
  }
};

}  // namespace ashlar::inline v0::ops::cuda::grouped
