// RMSNorm on Cuda. A row is one warp's or one block's, by its length; the weight gradient is summed over blocks of rows
// first, then over the blocks. Read next: ops/rms_norm/tuning.hpp, device/cuda/reduce.cuh.
#pragma once

#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/pack.cuh"
#include "ashlar/device/cuda/reduce.cuh"
#include "ashlar/ops/rms_norm/rms_norm.hpp"
#include "ashlar/ops/rms_norm/tuning.hpp"

namespace ashlar::inline v0::ops::cuda {

namespace kernel {

/// What forward and backward share: which threads have which row.
template <class A, bool WarpRow>
struct RmsNormRow {
  struct Shared {
    SharedArray<A, warp_size> partial;
  };
  static constexpr int threads = rms_norm_tuning.threads;
  static constexpr int rows_per_block = WarpRow ? threads / warp_size : 1;
  static constexpr int row_threads = WarpRow ? warp_size : threads;

  ASHLAR_DEVICE static index_t row(const Simt<Shared>& ctx) {
    return WarpRow ? ctx.block_x() * rows_per_block + ctx.warp() : ctx.block_x();
  }
  ASHLAR_DEVICE static int thread(const Simt<Shared>& ctx) { return WarpRow ? ctx.lane() : ctx.thread(); }
  /// The sum over the threads of a row.
  ASHLAR_DEVICE static A sum(Simt<Shared>& ctx, A value) {
    if constexpr (WarpRow)
      return warp_sum(ctx, value);
    else
      return block_sum(ctx, ctx.shared().partial, value);
  }
};

template <class T>
struct RmsNormParams {
  Rows<const T> x, residual;  // residual.data may be null
  const T* weight;
  Rows<T> h, y;
  Acc<T>* rstd;
  index_t rows, cols;
  Acc<T> eps;
  bool aligned;
};

template <class T, bool WarpRow>
struct RmsNorm : RmsNormRow<Acc<T>, WarpRow> {
  using A = Acc<T>;
  using Row = RmsNormRow<A, WarpRow>;
  using typename Row::Shared;
  using Params = RmsNormParams<T>;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    constexpr int width = pack_size<T>, step = Row::row_threads * width;
    const index_t row = Row::row(ctx);
    if (row >= p.rows) return;
    const T* h = p.x[row];
    A squares = 0;
    for (index_t c = Row::thread(ctx) * width; c < p.cols; c += step) {
      auto values = load_pack<width>(ctx, h + c, p.cols - c, p.aligned);
      if (p.residual.data) {
        const auto residual = load_pack<width>(ctx, p.residual[row] + c, p.cols - c, p.aligned);
        for (int j = 0; j < width; ++j) values.values[j] = T(A(values.values[j]) + A(residual.values[j]));
        store_pack(ctx, p.h[row] + c, values, p.cols - c, p.aligned);
      }
      for (int j = 0; j < width; ++j) squares += A(values.values[j]) * A(values.values[j]);
    }
    // Squares of huge values overflow to infinity: then rstd = 0 and the row is 0, rather than NaN.
    const A rstd = ctx.rsqrt(Row::sum(ctx, squares) / A(p.cols) + p.eps);
    if (Row::thread(ctx) == 0) ctx.store(p.rstd + row, rstd);
    // Every thread reads again what it read or wrote itself, from the first-level cache.
    if (p.residual.data) h = p.h[row];
    for (index_t c = Row::thread(ctx) * width; c < p.cols; c += step) {
      const auto values = load_pack<width>(ctx, h + c, p.cols - c, p.aligned);
      const auto weight = load_pack<width>(ctx, p.weight + c, p.cols - c, p.aligned);
      Pack<T, width> y;
      for (int j = 0; j < width; ++j) y.values[j] = T(A(values.values[j]) * rstd * A(weight.values[j]));
      store_pack(ctx, p.y[row] + c, y, p.cols - c, p.aligned);
    }
  }
};

template <class T>
struct RmsNormBackwardParams {
  Rows<const T> dy, h;
  const T* weight;
  const Acc<T>* rstd;
  Rows<T> dx;
  index_t rows, cols;
  bool accumulate, aligned;
};

/// dx alone: dx may take the place of dy, so the weight gradient is computed before.
template <class T, bool WarpRow>
struct RmsNormBackward : RmsNormRow<Acc<T>, WarpRow> {
  using A = Acc<T>;
  using Row = RmsNormRow<A, WarpRow>;
  using typename Row::Shared;
  using Params = RmsNormBackwardParams<T>;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    constexpr int width = pack_size<T>, step = Row::row_threads * width;
    const index_t row = Row::row(ctx);
    if (row >= p.rows) return;
    const A rstd = ctx.load(p.rstd + row);
    A dot = 0;
    for (index_t c = Row::thread(ctx) * width; c < p.cols; c += step) {
      const auto dy = load_pack<width>(ctx, p.dy[row] + c, p.cols - c, p.aligned);
      const auto h = load_pack<width>(ctx, p.h[row] + c, p.cols - c, p.aligned);
      const auto weight = load_pack<width>(ctx, p.weight + c, p.cols - c, p.aligned);
      for (int j = 0; j < width; ++j) dot += A(dy.values[j]) * A(weight.values[j]) * (A(h.values[j]) * rstd);
    }
    const A mean = Row::sum(ctx, dot) / A(p.cols);
    for (index_t c = Row::thread(ctx) * width; c < p.cols; c += step) {
      const auto dy = load_pack<width>(ctx, p.dy[row] + c, p.cols - c, p.aligned);
      const auto h = load_pack<width>(ctx, p.h[row] + c, p.cols - c, p.aligned);
      const auto weight = load_pack<width>(ctx, p.weight + c, p.cols - c, p.aligned);
      Pack<T, width> dx;
      if (p.accumulate) dx = load_pack<width>(ctx, p.dx[row] + c, p.cols - c, p.aligned);
      for (int j = 0; j < width; ++j) {
        const A d = rstd * (A(dy.values[j]) * A(weight.values[j]) - A(h.values[j]) * rstd * mean);
        dx.values[j] = T(p.accumulate ? A(dx.values[j]) + d : d);
      }
      store_pack(ctx, p.dx[row] + c, dx, p.cols - c, p.aligned);
    }
  }
};

/// partial[block of rows, c] = the sum of dy h rstd over the block's rows. Each warp sums every warps-th of them.
template <class T>
struct RmsNormWeightPartial {
  using A = Acc<T>;
  struct Params {
    Rows<const T> dy, h;
    const A* rstd;
    A* partial;  // [grid x, cols]
    index_t rows, cols;
    bool aligned;
  };
  static constexpr int threads = rms_norm_tuning.threads, warps = threads / warp_size;
  static constexpr int width = pack_size<T>, columns = warp_size * width;  // of a block
  struct Shared {
    SharedArray<A, warps * columns> sums;  // [warp, j, lane]: lanes write next to each other
  };
  static_assert(columns <= threads);

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    auto& sums = ctx.shared().sums;
    const index_t first_row = ctx.block_x() * rms_norm_tuning.rows_per_block;
    const index_t end = first_row + rms_norm_tuning.rows_per_block;
    const index_t c = ctx.block_y() * columns + ctx.lane() * width;
    A sum[width] = {};
    if (c < p.cols)
      for (index_t row = first_row + ctx.warp(); row < end && row < p.rows; row += warps) {
        const auto dy = load_pack<width>(ctx, p.dy[row] + c, p.cols - c, p.aligned);
        const auto h = load_pack<width>(ctx, p.h[row] + c, p.cols - c, p.aligned);
        const A rstd = ctx.load(p.rstd + row);
        for (int j = 0; j < width; ++j) sum[j] += A(dy.values[j]) * (A(h.values[j]) * rstd);
      }
    for (int j = 0; j < width; ++j) sums[(ctx.warp() * width + j) * warp_size + ctx.lane()] = sum[j];
    ctx.sync();
    const index_t column = ctx.block_y() * columns + ctx.thread();
    if (ctx.thread() >= columns || column >= p.cols) return;
    A total = 0;
    for (int w = 0; w < warps; ++w)
      total += sums[(w * width + ctx.thread() % width) * warp_size + ctx.thread() / width];
    ctx.store(p.partial + ctx.block_x() * p.cols + column, total);
  }
};

/// dweight[c] += the sum over blocks of partial[block, c]. A block has 32 columns; warps share the rows of `partial`.
template <class A>
struct RmsNormWeightFinish {
  struct Params {
    const A* partial;  // [rows, cols]
    A* dweight;
    index_t rows, cols;
  };
  static constexpr int threads = rms_norm_tuning.threads, warps = threads / warp_size;
  struct Shared {
    SharedArray<A, threads> sums;
  };

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    auto& sums = ctx.shared().sums;
    const index_t c = ctx.block_x() * warp_size + ctx.lane();
    A sum = 0;
    if (c < p.cols)
      for (index_t row = ctx.warp(); row < p.rows; row += warps) sum += ctx.load(p.partial + row * p.cols + c);
    sums[ctx.thread()] = sum;
    ctx.sync();
    if (ctx.warp() > 0 || c >= p.cols) return;
    A total = ctx.load(p.dweight + c);
    for (int w = 0; w < warps; ++w) total += sums[w * warp_size + ctx.lane()];
    ctx.store(p.dweight + c, total);
  }
};

/// Launches the kernel with a warp or a block a row, by the length of rows.
template <template <class, bool> class Kernel, class T, class Params>
void launch_rows(Cuda::Queue& queue, const Params& params) {
  if (params.cols <= rms_norm_tuning.warp_row)
    launch<Kernel<T, true>>(queue, {ceil_div(params.rows, Kernel<T, true>::rows_per_block)}, params);
  else
    launch<Kernel<T, false>>(queue, {params.rows}, params);
}

}  // namespace kernel

template <class T>
void rms_norm(Cuda::Queue& queue, TensorView<const T, Cuda> x, TensorView<const T, Cuda> residual,
              TensorView<const T, Cuda> weight, double eps, TensorView<T, Cuda> h, TensorView<T, Cuda> y,
              TensorView<Acc<T>, Cuda> rstd) {
  constexpr int width = pack_size<T>;
  const bool aligned = packs_aligned<width>(x, weight, y) && (!residual || packs_aligned<width>(residual, h));
  kernel::launch_rows<kernel::RmsNorm, T>(
      queue, kernel::RmsNormParams<T>{rows_of(x), rows_of(residual), weight.data(), rows_of(h), rows_of(y), rstd.data(),
                                      x.rows(), x.cols(), Acc<T>(eps), aligned});
}

template <class T>
void rms_norm_backward(Cuda::Queue& queue, TensorView<const T, Cuda> dy, TensorView<const T, Cuda> h,
                       TensorView<const T, Cuda> weight, TensorView<const Acc<T>, Cuda> rstd, TensorView<T, Cuda> dx,
                       bool accumulate, TensorView<Acc<T>, Cuda> dweight, TensorView<Acc<T>, Cuda> workspace) {
  using Partial = kernel::RmsNormWeightPartial<T>;
  constexpr int width = pack_size<T>;
  const index_t rows = h.rows(), cols = h.cols();
  if (rows == 0 || cols == 0) return;
  const bool aligned = packs_aligned<width>(dy, h);
  const index_t blocks = ceil_div(rows, rms_norm_tuning.rows_per_block);
  if (dweight) {
    launch<Partial>(queue, {blocks, ceil_div(cols, Partial::columns)},
                    {rows_of(dy), rows_of(h), rstd.data(), workspace.data(), rows, cols, aligned});
    launch<kernel::RmsNormWeightFinish<Acc<T>>>(queue, {ceil_div(cols, warp_size)},
                                                {workspace.data(), dweight.data(), blocks, cols});
  }
  kernel::launch_rows<kernel::RmsNormBackward, T>(
      queue, kernel::RmsNormBackwardParams<T>{rows_of(dy), rows_of(h), weight.data(), rstd.data(), rows_of(dx), rows,
                                              cols, accumulate, aligned && packs_aligned<width>(weight, dx)});
}

}  // namespace ashlar::inline v0::ops::cuda
