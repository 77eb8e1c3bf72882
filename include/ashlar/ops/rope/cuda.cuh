// Rotary position embedding on Cuda: a warp has a row, each lane turns whole pairs, so in place is safe.
// Read next: nn/attention/grouped_query.hpp.
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
    RopeShape shape;
    index_t rows, seq_len, offset;
    const std::int32_t* of_row;  // may be null
    A sign;                      // -1 turns the other way
    bool aligned;                // packs of x and of the table lie in one run of columns that turn, and are aligned
  };
  using Shared = NoShared;
  static constexpr int threads = rope_tuning.threads, warps = threads / warp_size, width = pack_size<T>;
  static_assert(width % 2 == 0, "a pack is whole pairs");

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const index_t row = ctx.block_x() * warps + ctx.warp();
    if (row >= p.rows) return;
    T* const x = p.x[row] + p.shape.begin;
    const A* const angles = p.table[p.offset + (p.of_row ? index_t{ctx.load(p.of_row + row)} : row % p.seq_len)];
    if (!p.aligned)
      turn_singly(p, ctx, x, angles);
    else if (p.shape.pairs == Pairs::interleaved)
      turn_interleaved(p, ctx, x, angles);
    else
      turn_halves(p, ctx, x, angles);
  }

 private:
  ASHLAR_DEVICE static void turn(const Params& p, T& first, T& second, A cos, A sin) {
    const A even = A(first), odd = A(second);
    first = T(even * cos - odd * p.sign * sin);
    second = T(even * p.sign * sin + odd * cos);
  }
  ASHLAR_DEVICE static void turn_interleaved(const Params& p, Simt<Shared>& ctx, T* x, const A* angles) {
    for (index_t c = ctx.lane() * width; c < p.shape.heads * p.shape.width; c += warp_size * width) {
      const index_t head = c / p.shape.width, in_head = c - head * p.shape.width;
      T* const at = x + head * p.shape.head_dim + in_head;
      auto v = load_pack<width>(ctx, at, width, true);
      const auto angle = load_pack<width>(ctx, angles + in_head, width, true);
      for (int j = 0; j < width; j += 2) turn(p, v.values[j], v.values[j + 1], angle.values[j], angle.values[j + 1]);
      store_pack(ctx, at, v, width, true);
    }
  }
  ASHLAR_DEVICE static void turn_halves(const Params& p, Simt<Shared>& ctx, T* x, const A* angles) {
    const index_t half = p.shape.width / 2;
    for (index_t c = ctx.lane() * width; c < p.shape.heads * half; c += warp_size * width) {
      const index_t head = c / half, pair = c - head * half;
      T* const at = x + head * p.shape.head_dim + pair;
      auto first = load_pack<width>(ctx, at, width, true), second = load_pack<width>(ctx, at + half, width, true);
      for (int part = 0; part < 2; ++part) {
        const auto angle = load_pack<width>(ctx, angles + 2 * pair + part * width, width, true);
        for (int j = 0; j < width / 2; ++j)
          turn(p, first.values[part * (width / 2) + j], second.values[part * (width / 2) + j], angle.values[2 * j],
               angle.values[2 * j + 1]);
      }
      store_pack(ctx, at, first, width, true);
      store_pack(ctx, at + half, second, width, true);
    }
  }
  ASHLAR_DEVICE static void turn_singly(const Params& p, Simt<Shared>& ctx, T* x, const A* angles) {
    const index_t half = p.shape.width / 2;
    const bool interleaved = p.shape.pairs == Pairs::interleaved;
    for (index_t c = ctx.lane(); c < p.shape.heads * half; c += warp_size) {
      const index_t head = c / half, pair = c - head * half;
      T* const at = x + head * p.shape.head_dim + (interleaved ? 2 * pair : pair);
      T* const partner = at + (interleaved ? 1 : half);
      T first = ctx.load(at), second = ctx.load(partner);
      turn(p, first, second, ctx.load(angles + 2 * pair), ctx.load(angles + 2 * pair + 1));
      ctx.store(at, first);
      ctx.store(partner, second);
    }
  }
};

}  // namespace kernel

template <class T>
void rope(Cuda::Queue& queue, TensorView<T, Cuda> x, const RopeShape& shape, const RopePositions<Cuda>& positions,
          TensorView<const Acc<T>, Cuda> table, Direction direction) {
  using A = Acc<T>;
  using Kernel = kernel::Rope<T>;
  constexpr index_t width = Kernel::width;
  const index_t run = shape.pairs == Pairs::interleaved ? shape.width : shape.width / 2;
  const bool whole_packs = shape.head_dim % width == 0 && shape.begin % width == 0 && run % width == 0;
  launch<Kernel>(
      queue, {ceil_div(x.rows(), Kernel::warps)},
      {rows_of(x), rows_of(table), shape, x.rows(), positions.seq_len, positions.offset, positions.of_row.data(),
       direction == Direction::backward ? A(-1) : A(1), whole_packs && packs_aligned<Kernel::width>(x, table)});
}

}  // namespace ashlar::inline v0::ops::cuda
