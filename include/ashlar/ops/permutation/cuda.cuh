// Token permutation on Cuda: a warp has a row, or a token with all its choices, and adds in their order.
// Read next: ops/permutation/sort.cuh (where rows go), device/cuda/pack.cuh.
#pragma once

#include <cstdint>

#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/pack.cuh"
#include "ashlar/device/cuda/reduce.cuh"
#include "ashlar/ops/permutation/permutation.hpp"
#include "ashlar/ops/permutation/sort.cuh"
#include "ashlar/ops/permutation/tuning.hpp"

namespace ashlar::inline v0::ops::cuda {

namespace kernel {

/// A warp of the block has a row.
struct WarpRows {
  using Shared = NoShared;
  static constexpr int threads = permutation_tuning.threads, warps = threads / warp_size;

  ASHLAR_DEVICE static index_t row(const Simt<Shared>& ctx) { return ctx.block_x() * warps + ctx.warp(); }
  static index_t blocks(index_t rows) { return ceil_div(rows, warps); }
};

template <class T>
struct Permute : WarpRows {
  struct Params {
    Rows<const T> x;
    const std::int32_t* source;
    Rows<T> out;
    index_t rows, cols;
    int top_k;
    bool aligned;
  };

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    constexpr int width = pack_size<T>;
    const index_t row = WarpRows::row(ctx);
    if (row >= p.rows) return;
    const std::int32_t slot = ctx.load(p.source + row);
    const T* const x = p.x[slot < 0 ? 0 : slot / p.top_k];
    for (index_t c = ctx.lane() * width; c < p.cols; c += warp_size * width) {
      // A count of 0 loads nothing, and gives zeros.
      const auto values = load_pack<width>(ctx, x + c, slot < 0 ? 0 : p.cols - c, p.aligned);
      store_pack(ctx, p.out[row] + c, values, p.cols - c, p.aligned);
    }
  }
};

/// The same where position, the inverse of source, is known: a token's row is read once for all its choices. The warp
/// of a token also clears what is nobody's of as many rows.
template <class T>
struct PermuteTokens : WarpRows {
  struct Params {
    Rows<const T> x;
    const std::int32_t *source, *position;
    Rows<T> out;
    index_t tokens, cols;
    int top_k;
    bool aligned;
  };

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    constexpr int width = pack_size<T>;
    const index_t token = WarpRows::row(ctx);
    if (token >= p.tokens) return;
    for (int begin = 0; begin < p.top_k; begin += warp_size) {
      const index_t slot = token * p.top_k + begin;
      const int choices = p.top_k - begin < warp_size ? p.top_k - begin : warp_size;
      const bool mine = ctx.lane() < choices;
      const std::int32_t position = mine ? ctx.load(p.position + slot + ctx.lane()) : -1;
      const std::int32_t source = mine ? ctx.load(p.source + slot + ctx.lane()) : 0;
      for (index_t first = 0; first < p.cols; first += warp_size * width) {
        const index_t c = first + ctx.lane() * width;
        const auto values = load_pack<width>(ctx, p.x[token] + c, p.cols - c, p.aligned);
        for (int j = 0; j < choices; ++j) {
          const std::int32_t to = ctx.shuffle(position, j);
          if (to >= 0) store_pack(ctx, p.out[to] + c, values, p.cols - c, p.aligned);
          if (ctx.shuffle(source, j) < 0) store_pack(ctx, p.out[slot + j] + c, Pack<T, width>{}, p.cols - c, p.aligned);
        }
      }
    }
  }
};

/// out[n] (+)= the sum over the choices j of token n of weight(n, j) in[position[n, j]].
template <class T>
struct GatherSum : WarpRows {
  using A = Acc<T>;
  struct Params {
    Rows<const T> in;
    const std::int32_t* position;
    Rows<const A> weights;  // weights.data null: all 1
    Rows<T> out;
    index_t rows, cols;
    int top_k;
    bool accumulate, aligned;
  };

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    constexpr int width = pack_size<T>;
    const index_t row = WarpRows::row(ctx);
    if (row >= p.rows) return;
    for (index_t c = ctx.lane() * width; c < p.cols; c += warp_size * width) {
      A sum[width] = {};
      for (int k = 0; k < p.top_k; ++k) {
        const std::int32_t from = ctx.load(p.position + row * p.top_k + k);
        if (from < 0) continue;
        const A weight = p.weights.data ? ctx.load(p.weights[row] + k) : A(1);
        const auto in = load_pack<width>(ctx, p.in[from] + c, p.cols - c, p.aligned);
        for (int j = 0; j < width; ++j) sum[j] += weight * A(in.values[j]);
      }
      Pack<T, width> out;
      if (p.accumulate) {
        out = load_pack<width>(ctx, p.out[row] + c, p.cols - c, p.aligned);
        for (int j = 0; j < width; ++j) sum[j] += A(out.values[j]);
      }
      for (int j = 0; j < width; ++j) out.values[j] = T(sum[j]);
      store_pack(ctx, p.out[row] + c, out, p.cols - c, p.aligned);
    }
  }
};

template <class T>
struct UnpermuteBackward : WarpRows {
  using A = Acc<T>;
  struct Params {
    Rows<const T> dy, in;
    const std::int32_t* position;
    Rows<const A> weights;
    Rows<T> din;
    Rows<A> dweights;
    index_t rows, cols;
    int top_k;
    bool aligned;
  };
  static constexpr int together = permutation_tuning.choices;  // rows whose loads are under way at a time

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    constexpr int width = pack_size<T>;
    const index_t row = WarpRows::row(ctx);
    if (row >= p.rows) return;
    for (int begin = 0; begin < p.top_k; begin += together) {
      // Lane j knows the j-th of these choices.
      const int k = begin + ctx.lane();
      const bool mine = ctx.lane() < together && k < p.top_k;
      const std::int32_t position = mine ? ctx.load(p.position + row * p.top_k + k) : -1;
      const A weight = position >= 0 ? ctx.load(p.weights[row] + k) : A(0);
      A dot[together] = {};
      for (index_t first = 0; first < p.cols; first += warp_size * width) {
        const index_t c = first + ctx.lane() * width;
        const auto dy = load_pack<width>(ctx, p.dy[row] + c, p.cols - c, p.aligned);
        Pack<T, width> in[together];  // read before din is written: they may be the same
#pragma unroll
        for (int j = 0; j < together; ++j) {
          const std::int32_t at = ctx.shuffle(position, j);
          in[j] = {};
          if (p.in.data) in[j] = load_pack<width>(ctx, p.in[at < 0 ? 0 : at] + c, at < 0 ? 0 : p.cols - c, p.aligned);
        }
#pragma unroll
        for (int j = 0; j < together; ++j) {
          const std::int32_t at = ctx.shuffle(position, j);
          const A factor = ctx.shuffle(weight, j);
          Pack<T, width> din;
          for (int i = 0; i < width; ++i) {
            dot[j] += A(dy.values[i]) * A(in[j].values[i]);
            din.values[i] = T(factor * A(dy.values[i]));
          }
          if (at >= 0) store_pack(ctx, p.din[at] + c, din, p.cols - c, p.aligned);
        }
      }
#pragma unroll
      for (int j = 0; j < together; ++j) {
        dot[j] = warp_sum(ctx, dot[j]);
        if (ctx.lane() == 0 && begin + j < p.top_k && p.dweights.data) ctx.store(p.dweights[row] + begin + j, dot[j]);
      }
    }
  }
};

}  // namespace kernel

template <class T>
void permute(Cuda::Queue& queue, TensorView<const T, Cuda> x, TensorView<const std::int32_t, Cuda> source,
             index_t top_k, TensorView<T, Cuda> out, TensorView<const std::int32_t, Cuda> position) {
  if (position && top_k > 1) {
    using Kernel = kernel::PermuteTokens<T>;
    launch<Kernel>(queue, {Kernel::blocks(x.rows())},
                   {rows_of(x), source.data(), position.data(), rows_of(out), x.rows(), out.cols(),
                    static_cast<int>(top_k), packs_aligned<pack_size<T>>(x, out)});
    return;
  }
  using Kernel = kernel::Permute<T>;
  launch<Kernel>(queue, {Kernel::blocks(out.rows())},
                 {rows_of(x), source.data(), rows_of(out), out.rows(), out.cols(), static_cast<int>(top_k),
                  packs_aligned<pack_size<T>>(x, out)});
}

template <class T>
void permute_backward(Cuda::Queue& queue, TensorView<const T, Cuda> dout, TensorView<const std::int32_t, Cuda> position,
                      index_t top_k, TensorView<T, Cuda> dx, bool accumulate) {
  using Kernel = kernel::GatherSum<T>;
  launch<Kernel>(queue, {Kernel::blocks(dx.rows())},
                 {rows_of(dout),
                  position.data(),
                  {},
                  rows_of(dx),
                  dx.rows(),
                  dx.cols(),
                  static_cast<int>(top_k),
                  accumulate,
                  packs_aligned<pack_size<T>>(dout, dx)});
}

template <class T>
void unpermute(Cuda::Queue& queue, TensorView<const T, Cuda> in, TensorView<const std::int32_t, Cuda> position,
               TensorView<const Acc<T>, Cuda> weights, TensorView<T, Cuda> out, bool accumulate) {
  using Kernel = kernel::GatherSum<T>;
  launch<Kernel>(queue, {Kernel::blocks(out.rows())},
                 {rows_of(in), position.data(), rows_of(weights), rows_of(out), out.rows(), out.cols(),
                  static_cast<int>(weights.cols()), accumulate, packs_aligned<pack_size<T>>(in, out)});
}

template <class T>
void unpermute_backward(Cuda::Queue& queue, TensorView<const T, Cuda> dy, TensorView<const T, Cuda> in,
                        TensorView<const std::int32_t, Cuda> position, TensorView<const Acc<T>, Cuda> weights,
                        TensorView<T, Cuda> din, TensorView<Acc<T>, Cuda> dweights) {
  using Kernel = kernel::UnpermuteBackward<T>;
  launch<Kernel>(
      queue, {Kernel::blocks(weights.rows())},
      {rows_of(dy), rows_of(in), position.data(), rows_of(weights), rows_of(din), rows_of(dweights), weights.rows(),
       dy.cols(), static_cast<int>(weights.cols()), packs_aligned<pack_size<T>>(dy, in ? in : dy, din)});
}

}  // namespace ashlar::inline v0::ops::cuda
