// Rotary position embedding on Cuda: a warp has a row, each lane turns whole pairs, so in place is safe.
// Read next: nn/attention.hpp.
#pragma once

#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/pack.cuh"
#include "ashlar/ops/rope/rope.hpp"
#include "ashlar/ops/rope/tuning.hpp"

namespace ashlar::inline v0::ops::cuda {

namespace kernel {

template <class T>
struct Rope {
  using A = Acc<T>;
  struct Params {
    Rows<T> x;
    Rows<const A> table;
    index_t rows, cols, seq_len, offset;
    int head_dim;
    A sign;        // -1 turns the other way
    bool aligned;  // x and table are, and heads are whole packs
  };
  using Shared = NoShared;
  static constexpr int threads = rope_tuning.threads, warps = threads / warp_size;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    constexpr int width = pack_size<T>;
    static_assert(width % 2 == 0, "a pack is whole pairs");
    const index_t row = ctx.block_x() * warps + ctx.warp();
    if (row >= p.rows) return;
    T* const x = p.x[row];
    const A* const angles = p.table[p.offset + row % p.seq_len];
    for (index_t c = ctx.lane() * width; c < p.cols; c += warp_size * width) {
      auto v = load_pack<width>(ctx, x + c, p.cols - c, p.aligned);
      // Where heads are whole packs, a pack lies in one head; else each pair finds its own angle.
      const int in_head = static_cast<int>(c % p.head_dim);
      const auto turn = [&](int j, A cos, A sin) {
        const A even = A(v.values[j]), odd = A(v.values[j + 1]);
        v.values[j] = T(even * cos - odd * p.sign * sin);
        v.values[j + 1] = T(even * p.sign * sin + odd * cos);
      };
      if (p.aligned) {
        const auto angle = load_pack<width>(ctx, angles + in_head, width, true);
        for (int j = 0; j < width; j += 2) turn(j, angle.values[j], angle.values[j + 1]);
      } else {
        for (int j = 0; j < width && c + j < p.cols; j += 2) {
          const A* const angle = angles + (in_head + j) % p.head_dim;
          turn(j, ctx.load(angle), ctx.load(angle + 1));
        }
      }
      store_pack(ctx, x + c, v, p.cols - c, p.aligned);
    }
  }
};

}  // namespace kernel

template <class T>
void rope(Cuda::Queue& queue, TensorView<T, Cuda> x, index_t head_dim, index_t seq_len, index_t offset,
          TensorView<const Acc<T>, Cuda> table, Direction direction) {
  using A = Acc<T>;
  using Kernel = kernel::Rope<T>;
  constexpr int width = pack_size<T>;
  launch<Kernel>(
      queue, {ceil_div(x.rows(), Kernel::warps)},
      {rows_of(x), rows_of(table), x.rows(), x.cols(), seq_len, offset, static_cast<int>(head_dim),
       direction == Direction::backward ? A(-1) : A(1), head_dim % width == 0 && packs_aligned<width>(x, table)});
}

}  // namespace ashlar::inline v0::ops::cuda
