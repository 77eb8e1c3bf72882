// SwiGLU on Cuda: one pass over packs of 16 bytes. Read next: device/cuda/pack.cuh, device/cuda/row_tiles.cuh.
#pragma once

#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/pack.cuh"
#include "ashlar/device/cuda/row_tiles.cuh"
#include "ashlar/ops/swiglu/swiglu.hpp"
#include "ashlar/ops/swiglu/tuning.hpp"

namespace ashlar::inline v0::ops::cuda {

namespace kernel {

/// 1 / (1 + e^-x). Zero where e^-x overflows.
template <class Context, class A>
ASHLAR_DEVICE A swiglu_sigmoid(const Context& ctx, A x) {
  return A(1) / (A(1) + ctx.exp(-x));
}

template <class T>
struct Swiglu {
  using A = Acc<T>;
  struct Params {
    Rows<const T> gate, up;
    Rows<T> h;
    RowTiles tiles;
    bool aligned;
  };
  using Shared = NoShared;
  static constexpr int threads = swiglu_tuning.threads, width = pack_size<T>;
  static constexpr int tile = threads * width * swiglu_tuning.packs_per_thread;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const index_t row = p.tiles.row(ctx.block_x()), begin = p.tiles.begin(ctx.block_x()), end = p.tiles.end(begin);
    for (index_t c = begin + ctx.thread() * width; c < end; c += threads * width) {
      const auto gate = load_pack<width>(ctx, p.gate[row] + c, end - c, p.aligned);
      const auto up = load_pack<width>(ctx, p.up[row] + c, end - c, p.aligned);
      Pack<T, width> h;
      for (int j = 0; j < width; ++j) {
        const A g = A(gate.values[j]);
        h.values[j] = T(g * swiglu_sigmoid(ctx, g) * A(up.values[j]));
      }
      store_pack(ctx, p.h[row] + c, h, end - c, p.aligned);
    }
  }
};

template <class T>
struct SwigluBackward {
  using A = Acc<T>;
  struct Params {
    Rows<const T> dh, gate, up;
    Rows<T> dgate, dup;
    RowTiles tiles;
    bool aligned;
  };
  using Shared = NoShared;
  static constexpr int threads = swiglu_tuning.threads, width = pack_size<T>;
  static constexpr int tile = threads * width * swiglu_tuning.packs_per_thread;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const index_t row = p.tiles.row(ctx.block_x()), begin = p.tiles.begin(ctx.block_x()), end = p.tiles.end(begin);
    for (index_t c = begin + ctx.thread() * width; c < end; c += threads * width) {
      // All three are read before either result is written: the results may take the place of the arguments.
      const auto dh = load_pack<width>(ctx, p.dh[row] + c, end - c, p.aligned);
      const auto gate = load_pack<width>(ctx, p.gate[row] + c, end - c, p.aligned);
      const auto up = load_pack<width>(ctx, p.up[row] + c, end - c, p.aligned);
      Pack<T, width> dgate, dup;
      for (int j = 0; j < width; ++j) {
        const A d = A(dh.values[j]), g = A(gate.values[j]), u = A(up.values[j]);
        const A s = swiglu_sigmoid(ctx, g);
        dgate.values[j] = T(d * u * (s * (A(1) + g * (A(1) - s))));
        dup.values[j] = T(d * (g * s));
      }
      store_pack(ctx, p.dgate[row] + c, dgate, end - c, p.aligned);
      store_pack(ctx, p.dup[row] + c, dup, end - c, p.aligned);
    }
  }
};

}  // namespace kernel

template <class T>
void swiglu(Cuda::Queue& queue, TensorView<const T, Cuda> gate, TensorView<const T, Cuda> up, TensorView<T, Cuda> h) {
  using Kernel = kernel::Swiglu<T>;
  const auto tiles = RowTiles::over(Kernel::tile, gate, up, h);
  launch<Kernel>(queue, {tiles.blocks()},
                 {rows_of(gate), rows_of(up), rows_of(h), tiles, packs_aligned<Kernel::width>(gate, up, h)});
}

template <class T>
void swiglu_backward(Cuda::Queue& queue, TensorView<const T, Cuda> dh, TensorView<const T, Cuda> gate,
                     TensorView<const T, Cuda> up, TensorView<T, Cuda> dgate, TensorView<T, Cuda> dup) {
  using Kernel = kernel::SwigluBackward<T>;
  const auto tiles = RowTiles::over(Kernel::tile, dh, gate, up, dgate, dup);
  launch<Kernel>(queue, {tiles.blocks()},
                 {rows_of(dh), rows_of(gate), rows_of(up), rows_of(dgate), rows_of(dup), tiles,
                  packs_aligned<Kernel::width>(dh, gate, up, dgate, dup)});
}

}  // namespace ashlar::inline v0::ops::cuda
