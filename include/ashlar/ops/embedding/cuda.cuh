// Token embedding on Cuda. Backward sorts the tokens by id; then one group of threads has all tokens of an id, and adds
// their rows in order. Read next: device/cuda/counting_sort.cuh.
#pragma once

#include <cstdint>

#include "ashlar/device/cuda/counting_sort.cuh"
#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/pack.cuh"
#include "ashlar/ops/embedding/embedding.hpp"
#include "ashlar/ops/embedding/tuning.hpp"

namespace ashlar::inline v0::ops::cuda {

namespace kernel {

template <class T>
struct Embedding {
  struct Params {
    SortKeys ids;
    Rows<const T> table;
    Rows<T> out;
    index_t rows, cols;
    bool aligned;
  };
  using Shared = NoShared;
  static constexpr int threads = embedding_tuning.threads, warps = threads / warp_size;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    constexpr int width = pack_size<T>;
    const index_t row = ctx.block_x() * warps + ctx.warp();
    if (row >= p.rows) return;
    const index_t id = p.ids.of(ctx, row);
    const bool here = id < p.ids.keys;
    for (index_t c = ctx.lane() * width; c < p.cols; c += warp_size * width) {
      // A count of 0 loads nothing, and gives zeros.
      const auto values = load_pack<width>(ctx, p.table[here ? id : 0] + c, here ? p.cols - c : 0, p.aligned);
      store_pack(ctx, p.out[row] + c, values, p.cols - c, p.aligned);
    }
  }
};

/// Block (r, s) adds columns of slab s of all tokens with the id of the r-th sorted token, if that is their first.
template <class T>
struct EmbeddingBackward {
  using A = Acc<T>;
  struct Params {
    SortKeys ids;
    const std::int32_t* order;  // tokens, sorted by id
    Rows<const T> dy;
    Rows<A> dtable;
    index_t tokens, cols;
    bool aligned;
  };
  using Shared = NoShared;
  static constexpr int threads = embedding_tuning.backward_threads, width = pack_size<T>;
  static constexpr int columns = threads * width;  // of a slab

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    constexpr int rows = embedding_tuning.rows_in_flight;
    const index_t first = ctx.block_x();
    const auto id_at = [&](index_t r) { return p.ids.of(ctx, ctx.load(p.order + r)); };
    const std::int32_t id = id_at(first);
    if (id == p.ids.keys || (first > 0 && id_at(first - 1) == id)) return;
    const index_t c = ctx.block_y() * columns + ctx.thread() * width, left = p.cols - c;
    if (left <= 0) return;
    A* const target = p.dtable[id] + c;
    auto sum = load_pack<width>(ctx, target, left, p.aligned);
    const index_t end = end_of_id(p, first, id_at);
    const auto row = [&](index_t r) { return load_pack<width>(ctx, p.dy[ctx.load(p.order + r)] + c, left, p.aligned); };
    index_t r = first;
    for (; r + rows <= end; r += rows) {
      Pack<T, width> dy[rows];  // all loads are under way before the first is added
      for (int k = 0; k < rows; ++k) dy[k] = row(r + k);
      for (int k = 0; k < rows; ++k)
        for (int j = 0; j < width; ++j) sum.values[j] += A(dy[k].values[j]);
    }
    for (; r < end; ++r) {
      const auto dy = row(r);
      for (int j = 0; j < width; ++j) sum.values[j] += A(dy.values[j]);
    }
    store_pack(ctx, target, sum, left, p.aligned);
  }

 private:
  /// Past the last sorted token with the id of the one at `first`: steps double, then halve, as most ids are rare.
  template <class IdAt>
  ASHLAR_DEVICE static index_t end_of_id(const Params& p, index_t first, const IdAt& id_at) {
    const std::int32_t id = id_at(first);
    index_t last = first, step = 1;  // `last` has the id
    for (; last + step < p.tokens && id_at(last + step) == id; step *= 2) last += step;
    for (; step > 0; step /= 2)
      if (last + step < p.tokens && id_at(last + step) == id) last += step;
    return last + 1;
  }
};

}  // namespace kernel

template <class T>
void embedding(Cuda::Queue& queue, TensorView<const std::int32_t, Cuda> ids, TensorView<const T, Cuda> table,
               index_t first_id, TensorView<T, Cuda> out) {
  using Kernel = kernel::Embedding<T>;
  launch<Kernel>(queue, {ceil_div(out.rows(), Kernel::warps)},
                 {SortKeys{ids.data(), first_id, table.rows()}, rows_of(table), rows_of(out), out.rows(), out.cols(),
                  packs_aligned<pack_size<T>>(table, out)});
}

template <class T>
void embedding_backward(Cuda::Queue& queue, TensorView<const std::int32_t, Cuda> ids, TensorView<const T, Cuda> dy,
                        index_t first_id, TensorView<Acc<T>, Cuda> dtable, TensorView<std::int32_t, Cuda> workspace) {
  using Kernel = kernel::EmbeddingBackward<T>;
  const SortKeys keys{ids.data(), first_id, dtable.rows()};
  const index_t tokens = dy.rows();
  if (tokens == 0) return;
  const std::int32_t* const order = counting_sort(queue, keys, tokens, workspace.data());
  launch<Kernel>(queue, {tokens, ceil_div(dy.cols(), Kernel::columns)},
                 {keys, order, rows_of(dy), rows_of(dtable), tokens, dy.cols(),
                  packs_aligned<Kernel::width>(dy) && packs_aligned<Kernel::width>(dtable)});
}

}  // namespace ashlar::inline v0::ops::cuda
