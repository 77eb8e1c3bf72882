// Where rows go when they are sorted by expert, on Cuda. Read next: device/cuda/counting_sort.cuh,
// ops/permutation/cuda.cuh.
#pragma once

#include <algorithm>
#include <cstdint>

#include "ashlar/device/cuda/counting_sort.cuh"
#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/pack.cuh"
#include "ashlar/device/cuda/reduce.cuh"
#include "ashlar/device/cuda/scan.cuh"
#include "ashlar/ops/permutation/permutation.hpp"
#include "ashlar/ops/permutation/tuning.hpp"

namespace ashlar::inline v0::ops::cuda {

namespace kernel {

/// From the sorted order of the slots: position, source and offsets. Thread i has row i, and expert i if there is one.
struct SortByExpert {
  struct Params {
    SortKeys experts;
    const std::int32_t* order;
    std::int32_t *position, *source, *offsets;
    index_t slots;
  };
  using Shared = NoShared;
  static constexpr int threads = permutation_tuning.sort_threads;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const index_t i = ctx.block_x() * threads + ctx.thread();
    if (i < p.slots) {
      const std::int32_t slot = ctx.load(p.order + i);
      const bool valid = p.experts.of(ctx, slot) < p.experts.keys;
      ctx.store(p.position + slot, valid ? static_cast<std::int32_t>(i) : -1);
      ctx.store(p.source + i, valid ? slot : -1);
    }
    if (i > p.experts.keys) return;
    index_t begin = 0, end = p.slots;  // the first row whose expert is i or more is in [begin, end]
    while (begin < end) {
      const index_t middle = (begin + end) / 2;
      if (p.experts.of(ctx, ctx.load(p.order + middle)) < i)
        begin = middle + 1;
      else
        end = middle;
    }
    ctx.store(p.offsets + i, static_cast<std::int32_t>(begin));
  }
};

/// offsets[e] = the rows of all experts before e, from the counts [peers, experts]. One block.
struct ReceivedOffsets {
  struct Params {
    Rows<const std::int32_t> counts;
    std::int32_t* offsets;
    index_t peers, experts;
  };
  struct Shared {
    SharedArray<std::int32_t, warp_size> partial;
  };
  static constexpr int threads = permutation_tuning.sort_threads;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    std::int32_t before = 0;
    for (index_t begin = 0; begin < p.experts; begin += threads) {
      const index_t e = begin + ctx.thread();
      std::int32_t rows = 0;
      for (index_t peer = 0; peer < p.peers && e < p.experts; ++peer) rows += ctx.load(p.counts[peer] + e);
      const auto scanned = block_scan(ctx, ctx.shared().partial, rows);
      if (e < p.experts) ctx.store(p.offsets + e, before + scanned.before);
      before += scanned.total;
    }
    if (ctx.thread() == 0) ctx.store(p.offsets + p.experts, before);
  }
};

/// Block b has the rows that one peer sent for one expert: it finds where they stand and where they go, and writes both
/// maps. All blocks share the rows that nobody sent.
struct SortReceived {
  struct Params {
    Rows<const std::int32_t> counts;
    const std::int32_t* offsets;
    std::int32_t *position, *source;
    index_t peers, experts;
    index_t rows;  // of position and source: none beyond is written, even if the counts add up to more
  };
  struct Shared {
    SharedArray<std::int32_t, warp_size> partial;
  };
  static constexpr int threads = permutation_tuning.sort_threads;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const index_t chunk = ctx.block_x();
    if (chunk < p.peers * p.experts) {
      const index_t peer = chunk / p.experts, expert = chunk % p.experts;
      // What stands before the chunk: earlier peers' rows, of all experts and of this one; this peer's earlier experts.
      std::int32_t all = 0, same = 0;
      for (index_t i = ctx.thread(); i < chunk; i += threads) {
        const std::int32_t sent = ctx.load(p.counts[i / p.experts] + i % p.experts);
        all += sent;
        if (i % p.experts == expert) same += sent;
      }
      const index_t from = block_sum(ctx, ctx.shared().partial, all);
      const index_t to = ctx.load(p.offsets + expert) + block_sum(ctx, ctx.shared().partial, same);
      const std::int32_t count = ctx.load(p.counts[peer] + expert);
      for (index_t j = ctx.thread(); j < count; j += threads) {
        if (from + j < p.rows) ctx.store(p.position + from + j, static_cast<std::int32_t>(to + j));
        if (to + j < p.rows) ctx.store(p.source + to + j, static_cast<std::int32_t>(from + j));
      }
    }
    const index_t total = ctx.load(p.offsets + p.experts);
    for (index_t i = total + chunk * threads + ctx.thread(); i < p.rows; i += ctx.blocks_x() * threads) {
      ctx.store(p.position + i, -1);
      ctx.store(p.source + i, -1);
    }
  }
};

}  // namespace kernel

template <class Index>
void sort_by_expert(Cuda::Queue& queue, TensorView<const Index, Cuda> experts, TensorView<Index, Cuda> position,
                    TensorView<Index, Cuda> source, TensorView<Index, Cuda> offsets,
                    TensorView<Index, Cuda> workspace) {
  using Kernel = kernel::SortByExpert;
  const SortKeys keys{experts.data(), 0, offsets.count() - 1};
  const index_t slots = experts.count();
  const std::int32_t* const order = counting_sort(queue, keys, slots, workspace.data());
  launch<Kernel>(queue, {ceil_div(std::max(slots, offsets.count()), Kernel::threads)},
                 {keys, order, position.data(), source.data(), offsets.data(), slots});
}

/// The counts are read on the device only: if they add up to more rows than position has, the rows beyond are left out.
template <class Index>
void sort_received(Cuda::Queue& queue, TensorView<const Index, Cuda> counts, TensorView<Index, Cuda> position,
                   TensorView<Index, Cuda> source, TensorView<Index, Cuda> offsets) {
  const index_t peers = counts.rows(), experts = counts.cols();
  launch<kernel::ReceivedOffsets>(queue, {1}, {rows_of(counts), offsets.data(), peers, experts});
  launch<kernel::SortReceived>(
      queue, {std::max<index_t>(peers * experts, 1)},
      {rows_of(counts), offsets.data(), position.data(), source.data(), peers, experts, position.count()});
}

}  // namespace ashlar::inline v0::ops::cuda
