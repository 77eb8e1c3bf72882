// RMSNorm on Cuda. A row is one warp's or one block's, by its length; the weight gradient is summed over blocks of rows
// first, on the way of the other gradient, then over the blocks. Read next: ops/rms_norm/tuning.hpp,
// device/cuda/reduce.cuh.
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
  Acc<T>* partial;  // [blocks, cols]: the weight gradient of each block's rows; null: none
  index_t rows, cols, block_rows;
  bool accumulate, aligned;
};

/// dx, and the weight gradient of the block's rows on the way: a thread sums that of its columns in shared memory, at
/// places of its own. dx may take the place of dy: a thread has read what it writes.
template <class T, bool WarpRow>
struct RmsNormBackward {
  using A = Acc<T>;
  using Row = RmsNormRow<A, WarpRow>;
  using Params = RmsNormBackwardParams<T>;
  static constexpr int threads = Row::threads, width = pack_size<T>, step = Row::row_threads * width;
  // Columns of the rows that a block works on at a time, of which a warp's have at most warp_row.
  static constexpr int capacity = WarpRow ? Row::rows_per_block * static_cast<int>(rms_norm_tuning.warp_row)
                                          : rms_norm_tuning.summed_bytes / static_cast<int>(sizeof(A));
  struct Shared {
    SharedArray<A, warp_size> partial;
    SharedArray<A, capacity> sums;  // [pass over the columns, j, thread]
  };

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    auto& sums = ctx.shared().sums;
    const int thread = WarpRow ? ctx.lane() : ctx.thread();
    if (p.partial)
      for (index_t i = ctx.thread(); i < ceil_div(p.cols, step) * width * threads; i += threads)
        sums[static_cast<int>(i)] = A(0);
    const index_t first = ctx.block_x() * p.block_rows,
                  end = first + p.block_rows < p.rows ? first + p.block_rows : p.rows;
    for (index_t row = first + (WarpRow ? ctx.warp() : 0); row < end; row += Row::rows_per_block) {
      const A rstd = ctx.load(p.rstd + row);
      A dot = 0;
      for (index_t c = thread * width; c < p.cols; c += step) {
        const auto dy = load_pack<width>(ctx, p.dy[row] + c, p.cols - c, p.aligned);
        const auto h = load_pack<width>(ctx, p.h[row] + c, p.cols - c, p.aligned);
        const auto weight = load_pack<width>(ctx, p.weight + c, p.cols - c, p.aligned);
        for (int j = 0; j < width; ++j) dot += A(dy.values[j]) * A(weight.values[j]) * (A(h.values[j]) * rstd);
      }
      A total;
      if constexpr (WarpRow)
        total = warp_sum(ctx, dot);
      else
        total = block_sum(ctx, ctx.shared().partial, dot);
      const A mean = total / A(p.cols);
      int slot = ctx.thread();
      for (index_t c = thread * width; c < p.cols; c += step) {
        const auto dy = load_pack<width>(ctx, p.dy[row] + c, p.cols - c, p.aligned);
        const auto h = load_pack<width>(ctx, p.h[row] + c, p.cols - c, p.aligned);
        const auto weight = load_pack<width>(ctx, p.weight + c, p.cols - c, p.aligned);
        Pack<T, width> dx;
        if (p.accumulate) dx = load_pack<width>(ctx, p.dx[row] + c, p.cols - c, p.aligned);
        for (int j = 0; j < width; ++j) {
          const A normed = A(h.values[j]) * rstd, d = rstd * (A(dy.values[j]) * A(weight.values[j]) - normed * mean);
          dx.values[j] = T(p.accumulate ? A(dx.values[j]) + d : d);
          if (p.partial) {
            sums[slot] = A(sums[slot]) + A(dy.values[j]) * normed;
            slot += threads;
          }
        }
        store_pack(ctx, p.dx[row] + c, dx, p.cols - c, p.aligned);
      }
    }
    if (!p.partial) return;
    ctx.sync();
    for (index_t c = ctx.thread(); c < p.cols; c += threads) {
      const int pass = static_cast<int>(c / step), at = static_cast<int>(c % step);
      A total = 0;
      for (int w = 0; w < Row::rows_per_block; ++w)
        total += A(sums[(pass * width + at % width) * threads + w * warp_size + at / width]);
      ctx.store(p.partial + ctx.block_x() * p.cols + c, total);
    }
  }
};

/// The same for long rows that the registers of a block hold, Passes packs a thread: nothing is read twice, and the
/// next row's loads are under way while this one's dot product is summed. dx may take the place of dy: a thread has
/// read what it writes.
template <class T, int Passes>
struct RmsNormBackwardHeld {
  using A = Acc<T>;
  using Params = RmsNormBackwardParams<T>;
  static constexpr int threads = rms_norm_tuning.threads, width = pack_size<T>, step = threads * width;
  static constexpr int min_blocks = Passes <= 2 ? 2 : 1;
  struct Shared {
    SharedArray<A, warp_size> partial;
  };
  struct Part {
    Pack<T, width> dy[Passes], h[Passes], dx[Passes];
    A rstd;
  };

  ASHLAR_DEVICE static Part load(const Params& p, const Simt<Shared>& ctx, index_t row, index_t end) {
    Part part;
    const index_t from = row < end ? row : end - 1;
    part.rstd = ctx.load(p.rstd + from);
#pragma unroll
    for (int i = 0; i < Passes; ++i) {
      const index_t c = ctx.thread() * width + i * step, count = row < end ? p.cols - c : 0;
      part.dy[i] = load_pack<width>(ctx, p.dy[from] + c, count, p.aligned);
      part.h[i] = load_pack<width>(ctx, p.h[from] + c, count, p.aligned);
      if (p.accumulate) part.dx[i] = load_pack<width>(ctx, p.dx[from] + c, count, p.aligned);
    }
    return part;
  }

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const index_t begin = ctx.block_x() * p.block_rows;
    const index_t end = begin + p.block_rows < p.rows ? begin + p.block_rows : p.rows;
    Pack<T, width> weight[Passes];
#pragma unroll
    for (int i = 0; i < Passes; ++i) {
      const index_t c = ctx.thread() * width + i * step;
      weight[i] = load_pack<width>(ctx, p.weight + c, p.cols - c, p.aligned);
    }
    A dweight[Passes * width] = {};
    Part next = load(p, ctx, begin, end);
    for (index_t row = begin; row < end; ++row) {
      const Part part = next;
      next = load(p, ctx, row + 1, end);
      A dot = 0;
#pragma unroll
      for (int i = 0; i < Passes; ++i)
        for (int j = 0; j < width; ++j)
          dot += A(part.dy[i].values[j]) * A(weight[i].values[j]) * (A(part.h[i].values[j]) * part.rstd);
      const A mean = block_sum(ctx, ctx.shared().partial, dot) / A(p.cols);
#pragma unroll
      for (int i = 0; i < Passes; ++i) {
        const index_t c = ctx.thread() * width + i * step;
        Pack<T, width> dx;
        for (int j = 0; j < width; ++j) {
          const A dy = A(part.dy[i].values[j]), normed = A(part.h[i].values[j]) * part.rstd;
          const A d = part.rstd * (dy * A(weight[i].values[j]) - normed * mean);
          dx.values[j] = T(p.accumulate ? A(part.dx[i].values[j]) + d : d);
          dweight[i * width + j] += dy * normed;
        }
        store_pack(ctx, p.dx[row] + c, dx, p.cols - c, p.aligned);
      }
    }
    if (!p.partial) return;
#pragma unroll
    for (int i = 0; i < Passes * width; ++i)
      if (const index_t c = ctx.thread() * width + i / width * step + i % width; c < p.cols)
        ctx.store(p.partial + ctx.block_x() * p.cols + c, dweight[i]);
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

}  // namespace kernel

template <class T>
void rms_norm(Cuda::Queue& queue, TensorView<const T, Cuda> x, TensorView<const T, Cuda> residual,
              TensorView<const T, Cuda> weight, double eps, TensorView<T, Cuda> h, TensorView<T, Cuda> y,
              TensorView<Acc<T>, Cuda> rstd) {
  constexpr int width = pack_size<T>;
  const bool aligned = packs_aligned<width>(x, weight, y) && (!residual || packs_aligned<width>(residual, h));
  const kernel::RmsNormParams<T> params{rows_of(x),  rows_of(residual), weight.data(), rows_of(h),  rows_of(y),
                                        rstd.data(), x.rows(),          x.cols(),      Acc<T>(eps), aligned};
  if (x.cols() <= rms_norm_tuning.warp_row)
    launch<kernel::RmsNorm<T, true>>(queue, {ceil_div(x.rows(), kernel::RmsNorm<T, true>::rows_per_block)}, params);
  else
    launch<kernel::RmsNorm<T, false>>(queue, {x.rows()}, params);
}

template <class T>
void rms_norm_backward(Cuda::Queue& queue, TensorView<const T, Cuda> dy, TensorView<const T, Cuda> h,
                       TensorView<const T, Cuda> weight, TensorView<const Acc<T>, Cuda> rstd, TensorView<T, Cuda> dx,
                       bool accumulate, TensorView<Acc<T>, Cuda> dweight, TensorView<Acc<T>, Cuda> workspace) {
  constexpr int width = pack_size<T>;
  using Long = kernel::RmsNormBackward<T, false>;
  const index_t rows = h.rows(), cols = h.cols();
  if (rows == 0 || cols == 0) return;
  if (cols > Long::capacity)
    fail(concat("rms_norm_backward: rows of at most ", Long::capacity, " columns on Cuda; got ", cols));
  const index_t block_rows = rms_norm_tuning.block_rows(rows, cols), blocks = ceil_div(rows, block_rows);
  const kernel::RmsNormBackwardParams<T> params{rows_of(dy),
                                                rows_of(h),
                                                weight.data(),
                                                rstd.data(),
                                                rows_of(dx),
                                                dweight ? workspace.data() : nullptr,
                                                rows,
                                                cols,
                                                block_rows,
                                                accumulate,
                                                packs_aligned<width>(dy, h, weight, dx)};
  if (cols <= rms_norm_tuning.warp_row)
    launch<kernel::RmsNormBackward<T, true>>(queue, {blocks}, params);
  else if (cols <= kernel::RmsNormBackwardHeld<T, 1>::step)
    launch<kernel::RmsNormBackwardHeld<T, 1>>(queue, {blocks}, params);
  else if (cols <= 2 * kernel::RmsNormBackwardHeld<T, 2>::step)
    launch<kernel::RmsNormBackwardHeld<T, 2>>(queue, {blocks}, params);
  else if (cols <= 4 * kernel::RmsNormBackwardHeld<T, 4>::step)
    launch<kernel::RmsNormBackwardHeld<T, 4>>(queue, {blocks}, params);
  else
    launch<Long>(queue, {blocks}, params);
  if (dweight)
    launch<kernel::RmsNormWeightFinish<Acc<T>>>(queue, {ceil_div(cols, warp_size)},
                                                {workspace.data(), dweight.data(), blocks, cols});
}

}  // namespace ashlar::inline v0::ops::cuda
