// The sum of term(x[i]) over a long array, in double: every block sums one range of it, then one block sums the partial
// sums. The ranges depend on n alone, so the bits do.
#pragma once

#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cuda/grid_sum_tuning.hpp"
#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/pack.cuh"
#include "ashlar/device/cuda/reduce.cuh"

namespace ashlar::inline v0 {

/// Term has the function `static double of(double)`.
template <class A, class Term>
struct GridSum {
  struct Params {
    const A* x;
    index_t n, range;  // block b sums [b range, (b + 1) range)
    double* partial;
    bool aligned;
  };
  struct Shared {
    SharedArray<double, warp_size> partial;
  };
  static constexpr int threads = grid_sum_tuning.threads;
  static constexpr int min_blocks = 2048 / threads;  // else some wait for the others to end, at half the rate

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    constexpr int width = pack_size<A>;
    const index_t begin = ctx.block_x() * p.range;
    const index_t end = begin + p.range < p.n ? begin + p.range : p.n;
    constexpr int sums = width < 4 ? width : 4;  // more take more registers than so many threads have
    double lane[sums] = {};                      // independent: no chain of additions is longer than it must be
    index_t i = begin + ctx.thread() * width;
    // Whole packs, several loads on their way at a time; then what is left.
    constexpr int ahead = grid_sum_tuning.packs_ahead, stride = threads * width;
    for (; p.aligned && i + (ahead - 1) * stride + width <= end; i += ahead * stride) {
      Pack<A, width> x[ahead];
      for (int k = 0; k < ahead; ++k) x[k] = load_pack<width>(ctx, p.x + i + k * stride, width, true);
      for (int k = 0; k < ahead; ++k)
        for (int j = 0; j < width; ++j) lane[j % sums] += Term::of(double(x[k].values[j]));
    }
    for (; i < end; i += stride) {
      const auto x = load_pack<width>(ctx, p.x + i, end - i, p.aligned);
      for (int j = 0; j < width; ++j)
        lane[j % sums] += Term::of(double(x.values[j]));  // of(0) is 0: the pack's padding
    }
    double sum = 0;
    for (int j = 0; j < sums; ++j) sum += lane[j];
    sum = block_sum(ctx, ctx.shared().partial, sum);
    if (ctx.thread() == 0) ctx.store(p.partial + ctx.block_x(), sum);
  }
};

/// total[0] += the sum of n partial sums.
struct GridSumFinish {
  struct Params {
    const double* partial;
    index_t n;
    double* total;
  };
  struct Shared {
    SharedArray<double, warp_size> partial;
  };
  static constexpr int threads = grid_sum_tuning.threads;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    double sum = 0;
    for (index_t i = ctx.thread(); i < p.n; i += threads) sum += ctx.load(p.partial + i);
    sum = block_sum(ctx, ctx.shared().partial, sum);
    if (ctx.thread() == 0) ctx.store(p.total, ctx.load(p.total) + sum);
  }
};

/// total[0] += the sum of Term::of(x) over x, contiguous; Term::of(0) must be 0. `partial` has grid_sum_blocks(n)
/// elements.
template <class Term, class A>
void grid_sum(Cuda::Queue& queue, TensorView<const A, Cuda> x, TensorView<double, Cuda> partial,
              TensorView<double, Cuda> total) {
  const index_t n = x.count(), blocks = grid_sum_blocks(n);
  if (n == 0) return;
  constexpr int width = pack_size<A>;
  // Ranges are a whole number of packs, so that all begin aligned if the first does.
  const index_t range = round_up(ceil_div(n, blocks), width);
  launch<GridSum<A, Term>>(queue, {blocks}, {x.data(), n, range, partial.data(), packs_aligned<width>(x)});
  launch<GridSumFinish>(queue, {1}, {partial.data(), blocks, total.data()});
}

}  // namespace ashlar::inline v0
