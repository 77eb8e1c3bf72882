// Columns of heads on Cuda: a thread an element of the result. Read next: device/cuda/launch.cuh.
#pragma once

#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/pack.cuh"
#include "ashlar/ops/heads/heads.hpp"
#include "ashlar/ops/heads/tuning.hpp"

namespace ashlar::inline v0::ops::cuda {

namespace kernel {

template <class T>
struct MoveHeads {
  struct Params {
    Rows<const T> x;
    Rows<T> y;
    HeadColumns from, to;
    index_t width, count;  // columns of a head that move; elements written
  };
  using Shared = NoShared;
  static constexpr int threads = heads_tuning.threads, tile = threads * heads_tuning.elements;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const index_t sums = p.to.heads == 1 ? p.from.heads : 1, row_width = p.to.heads * p.width;
    for (int k = 0; k < heads_tuning.elements; ++k) {
      const index_t i = ctx.block_x() * tile + k * threads + ctx.thread();
      if (i >= p.count) return;
      const index_t row = i / row_width, h = i % row_width / p.width, j = i % p.width;
      const T* const source = p.x[row] + (p.from.heads == 1 ? 0 : h) * p.from.head_dim + p.from.begin + j;
      Acc<T> sum = Acc<T>(ctx.load(source));
      for (index_t s = 1; s < sums; ++s) sum += Acc<T>(ctx.load(source + s * p.from.head_dim));
      ctx.store(p.y[row] + h * p.to.head_dim + p.to.begin + j, T(sum));
    }
  }
};

}  // namespace kernel

template <class T>
void move_heads(Cuda::Queue& queue, TensorView<const T, Cuda> x, const HeadColumns& from, TensorView<T, Cuda> y,
                const HeadColumns& to, index_t width) {
  using Kernel = kernel::MoveHeads<T>;
  const index_t count = x.rows() * to.heads * width;
  launch<Kernel>(queue, {ceil_div(count, Kernel::tile)}, {rows_of(x), rows_of(y), from, to, width, count});
}

}  // namespace ashlar::inline v0::ops::cuda
