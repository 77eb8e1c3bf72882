// Modulation on Cuda: a block has a row, or columns of a sequence, whose rows a thread adds one after another. Read
// next: device/cuda/reduce.cuh.
#pragma once

#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/pack.cuh"
#include "ashlar/device/cuda/reduce.cuh"
#include "ashlar/ops/modulation/modulation.hpp"
#include "ashlar/ops/modulation/tuning.hpp"

namespace ashlar::inline v0::ops::cuda {

namespace kernel {

template <class T>
struct Modulate {
  using A = Acc<T>;
  struct Params {
    Rows<const T> x, shift, scale;
    Rows<T> y;
    Rows<A> statistics;
    SequenceRows of;
    index_t cols;
    A eps;
  };
  struct Shared {
    SharedArray<A, warp_size> partial;
  };
  static constexpr int threads = modulation_tuning.row_threads;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const index_t row = ctx.block_x();
    const T* const x = p.x[row];
    A sum = 0;
    for (index_t c = ctx.thread(); c < p.cols; c += threads) sum += A(ctx.load(x + c));
    const A mean = block_sum(ctx, ctx.shared().partial, sum) / A(p.cols);
    A squares = 0;
    for (index_t c = ctx.thread(); c < p.cols; c += threads) {
      const A centred = A(ctx.load(x + c)) - mean;
      squares += centred * centred;
    }
    squares = block_sum(ctx, ctx.shared().partial, squares);
    const A rstd = ctx.rsqrt(squares / A(p.cols) + p.eps);
    if (ctx.thread() == 0) {
      ctx.store(p.statistics[row], mean);
      ctx.store(p.statistics[row] + 1, rstd);
    }
    const index_t b = p.of.sequence(row);
    for (index_t c = ctx.thread(); c < p.cols; c += threads) {
      const A normed = (A(ctx.load(x + c)) - mean) * rstd;
      ctx.store(p.y[row] + c, T(normed * (A(1) + A(ctx.load(p.scale[b] + c))) + A(ctx.load(p.shift[b] + c))));
    }
  }
};

template <class T>
struct ModulateBackward {
  using A = Acc<T>;
  struct Params {
    Rows<const T> dy, x, scale;
    Rows<const A> statistics;
    Rows<T> dx;
    SequenceRows of;
    index_t cols;
  };
  struct Shared {
    SharedArray<A, warp_size> partial;
  };
  static constexpr int threads = modulation_tuning.row_threads;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const index_t row = ctx.block_x();
    const T *const dy = p.dy[row], *const x = p.x[row], *const scale = p.scale[p.of.sequence(row)];
    const A mean = ctx.load(p.statistics[row]), rstd = ctx.load(p.statistics[row] + 1);
    A plain = 0, along = 0;
    for (index_t c = ctx.thread(); c < p.cols; c += threads) {
      const A d = A(ctx.load(dy + c)) * (A(1) + A(ctx.load(scale + c)));
      plain += d;
      along += d * (A(ctx.load(x + c)) - mean) * rstd;
    }
    plain = block_sum(ctx, ctx.shared().partial, plain) / A(p.cols);
    along = block_sum(ctx, ctx.shared().partial, along) / A(p.cols);
    for (index_t c = ctx.thread(); c < p.cols; c += threads) {
      const A d = A(ctx.load(dy + c)) * (A(1) + A(ctx.load(scale + c)));
      const A normed = (A(ctx.load(x + c)) - mean) * rstd;
      T* const out = p.dx[row] + c;
      ctx.store(out, T(A(ctx.load(out)) + rstd * (d - plain - normed * along)));
    }
  }
};

/// A thread has a column of a sequence.
template <class T>
struct ModulationSums {
  using A = Acc<T>;
  struct Params {
    Rows<const T> dy, x;
    Rows<const A> statistics;
    Rows<T> dshift, dscale;
    SequenceRows of;
    index_t rows, cols, tiles;  // tiles: blocks a sequence
  };
  using Shared = NoShared;
  static constexpr int threads = modulation_tuning.sum_threads;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const index_t b = ctx.block_x() / p.tiles, c = ctx.block_x() % p.tiles * threads + ctx.thread();
    if (c >= p.cols) return;
    A sum = 0, product = 0;
    for (index_t i = p.of.begin(b, p.rows); i < p.of.begin(b + 1, p.rows); ++i) {
      const A d = A(ctx.load(p.dy[i] + c));
      sum += d;
      product += d * ((A(ctx.load(p.x[i] + c)) - ctx.load(p.statistics[i])) * ctx.load(p.statistics[i] + 1));
    }
    T *const shift = p.dshift[b] + c, *const scale = p.dscale[b] + c;
    ctx.store(shift, T(A(ctx.load(shift)) + sum));
    ctx.store(scale, T(A(ctx.load(scale)) + product));
  }
};

template <class T>
struct AddGated {
  using A = Acc<T>;
  struct Params {
    Rows<const T> x, f, gate;  // x: null for the gated part alone
    Rows<T> out;
    SequenceRows of;
    index_t cols;
  };
  using Shared = NoShared;
  static constexpr int threads = modulation_tuning.row_threads;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const index_t row = ctx.block_x(), b = p.of.sequence(row);
    for (index_t c = ctx.thread(); c < p.cols; c += threads) {
      const A gated = A(ctx.load(p.gate[b] + c)) * A(ctx.load(p.f[row] + c));
      ctx.store(p.out[row] + c, T(p.x.data ? A(ctx.load(p.x[row] + c)) + gated : gated));
    }
  }
};

/// A thread has a column of a sequence.
template <class T>
struct GateSums {
  using A = Acc<T>;
  struct Params {
    Rows<const T> dout, f;
    Rows<T> dgate;
    SequenceRows of;
    index_t rows, cols, tiles;
  };
  using Shared = NoShared;
  static constexpr int threads = modulation_tuning.sum_threads;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const index_t b = ctx.block_x() / p.tiles, c = ctx.block_x() % p.tiles * threads + ctx.thread();
    if (c >= p.cols) return;
    A sum = 0;
    for (index_t i = p.of.begin(b, p.rows); i < p.of.begin(b + 1, p.rows); ++i)
      sum += A(ctx.load(p.dout[i] + c)) * A(ctx.load(p.f[i] + c));
    T* const gate = p.dgate[b] + c;
    ctx.store(gate, T(A(ctx.load(gate)) + sum));
  }
};

}  // namespace kernel

template <class T>
void modulate(Cuda::Queue& queue, TensorView<const T, Cuda> x, TensorView<const T, Cuda> shift,
              TensorView<const T, Cuda> scale, SequenceRows of, double eps, TensorView<T, Cuda> y,
              TensorView<Acc<T>, Cuda> statistics) {
  launch<kernel::Modulate<T>>(queue, {x.rows()},
                              {rows_of(x), rows_of(shift), rows_of(scale), rows_of(y), rows_of(statistics), of,
                               x.cols(), static_cast<Acc<T>>(eps)});
}

template <class T>
void modulate_backward(Cuda::Queue& queue, TensorView<const T, Cuda> dy, TensorView<const T, Cuda> x,
                       TensorView<const T, Cuda> scale, TensorView<const Acc<T>, Cuda> statistics, SequenceRows of,
                       TensorView<T, Cuda> dx, TensorView<T, Cuda> dshift, TensorView<T, Cuda> dscale) {
  launch<kernel::ModulateBackward<T>>(
      queue, {x.rows()}, {rows_of(dy), rows_of(x), rows_of(scale), rows_of(statistics), rows_of(dx), of, x.cols()});
  using Sums = kernel::ModulationSums<T>;
  const index_t tiles = ceil_div(x.cols(), index_t{Sums::threads});
  launch<Sums>(
      queue, {dshift.rows() * tiles},
      {rows_of(dy), rows_of(x), rows_of(statistics), rows_of(dshift), rows_of(dscale), of, x.rows(), x.cols(), tiles});
}

template <class T>
void add_gated(Cuda::Queue& queue, TensorView<const T, Cuda> x, TensorView<const T, Cuda> f,
               TensorView<const T, Cuda> gate, SequenceRows of, TensorView<T, Cuda> out) {
  launch<kernel::AddGated<T>>(queue, {x.rows()}, {rows_of(x), rows_of(f), rows_of(gate), rows_of(out), of, x.cols()});
}

template <class T>
void add_gated_backward(Cuda::Queue& queue, TensorView<const T, Cuda> dout, TensorView<const T, Cuda> f,
                        TensorView<const T, Cuda> gate, SequenceRows of, TensorView<T, Cuda> df,
                        TensorView<T, Cuda> dgate) {
  launch<kernel::AddGated<T>>(queue, {f.rows()},
                              {{nullptr, 0}, rows_of(dout), rows_of(gate), rows_of(df), of, f.cols()});
  using Sums = kernel::GateSums<T>;
  const index_t tiles = ceil_div(f.cols(), index_t{Sums::threads});
  launch<Sums>(queue, {dgate.rows() * tiles},
               {rows_of(dout), rows_of(f), rows_of(dgate), of, f.rows(), f.cols(), tiles});
}

}  // namespace ashlar::inline v0::ops::cuda
