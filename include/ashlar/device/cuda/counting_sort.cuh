// A stable sort of items 0 .. n-1 by small integer keys: a counting sort by digits, lowest first. Each pass counts the
// digits of every block's items, turns the counts into where each block's items of each digit go, and moves them.
// Deterministic without atomics on positions.
#pragma once

#include <cstdint>
#include <utility>

#include "ashlar/device/cuda/counting_sort_tuning.hpp"
#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/device/cuda/scan.cuh"

namespace ashlar::inline v0 {

/// Item i has key ids[i] - first if that is in [0, keys), else `keys`: such items come last.
struct SortKeys {
  const std::int32_t* ids;
  index_t first;
  index_t keys;

  template <class Context>
  ASHLAR_DEVICE std::int32_t of(const Context& ctx, index_t item) const {
    const index_t key = ctx.load(ids + item) - first;
    return static_cast<std::int32_t>(key >= 0 && key < keys ? key : keys);
  }
};

/// One pass of the sort: what its kernels share.
struct CountingSortPass {
  SortKeys keys;
  const std::int32_t* in;  // the order so far; null: 0 .. n-1
  std::int32_t* out;       // the order after this pass
  index_t n;
  int shift;            // the digit's place in the key
  int bins;             // digits that occur
  index_t blocks;       // each ranks counting_sort_items consecutive items
  std::int32_t* table;  // [bins, blocks]: counts, then positions

  template <class Context>
  ASHLAR_DEVICE std::int32_t item(const Context& ctx, index_t i) const {
    return in ? ctx.load(in + i) : static_cast<std::int32_t>(i);
  }
  template <class Context>
  ASHLAR_DEVICE int digit(const Context& ctx, std::int32_t item) const {
    return keys.of(ctx, item) >> shift & (counting_sort_bins - 1);
  }
};

/// table[d, block] = how many items of the block have digit d.
struct CountingSortCount {
  using Params = CountingSortPass;
  struct Shared {
    SharedArray<int, counting_sort_bins> count;
  };
  static constexpr int threads = counting_sort_tuning.threads;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    auto& count = ctx.shared().count;
    for (int d = ctx.thread(); d < p.bins; d += threads) count[d] = 0;
    ctx.sync();
    const index_t begin = ctx.block_x() * counting_sort_items;
    for (int j = 0; j < counting_sort_tuning.items_per_thread; ++j)
      if (const index_t i = begin + j * threads + ctx.thread(); i < p.n)
        ctx.atomic_add_shared(count[p.digit(ctx, p.item(ctx, i))], 1);
    ctx.sync();
    for (int d = ctx.thread(); d < p.bins; d += threads) {
      const std::int32_t counted = count[d];
      ctx.store(p.table + d * p.blocks + ctx.block_x(), counted);
    }
  }
};

/// The running sum over the table, in place, by one block.
struct CountingSortScan {
  using Params = CountingSortPass;
  struct Shared {
    SharedArray<std::int32_t, warp_size> partial;
  };
  static constexpr int threads = counting_sort_tuning.threads;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    constexpr int width = 8;  // consecutive elements of a thread
    const index_t n = p.bins * p.blocks;
    std::int32_t before = 0;
    for (index_t begin = 0; begin < n; begin += threads * width) {
      const index_t first = begin + ctx.thread() * width;
      std::int32_t value[width], sum = 0;
      for (int j = 0; j < width; ++j) {
        value[j] = first + j < n ? ctx.load(p.table + first + j) : 0;
        sum += value[j];
      }
      const auto scanned = block_scan(ctx, ctx.shared().partial, sum);
      std::int32_t position = before + scanned.before;
      for (int j = 0; j < width; ++j) {
        if (first + j < n) ctx.store(p.table + first + j, position);
        position += value[j];
      }
      before += scanned.total;
    }
  }
};

/// Moves every item to the table's position of its digit and block, plus the number of equal digits before it in the
/// block: those of earlier warps, of the warp's earlier rounds, and of lower lanes.
struct CountingSortMove {
  using Params = CountingSortPass;
  static constexpr int threads = counting_sort_tuning.threads;
  static constexpr int warps = threads / warp_size, rounds = counting_sort_tuning.items_per_thread;
  struct Shared {
    SharedArray<std::int32_t, warps * counting_sort_bins> next;  // [warp, digit]
  };

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    auto& next = ctx.shared().next;
    for (int i = ctx.thread(); i < warps * p.bins; i += threads) next[i] = 0;
    ctx.sync();

    const int mine = ctx.warp() * p.bins;
    const unsigned lower_lanes = (1u << ctx.lane()) - 1u;
    const index_t begin = ctx.block_x() * counting_sort_items + ctx.warp() * rounds * warp_size + ctx.lane();
    std::int32_t item[rounds];
    int digit[rounds];       // -1: no item
    unsigned equal[rounds];  // the lanes with this digit
    for (int j = 0; j < rounds; ++j) {
      const index_t i = begin + j * warp_size;
      item[j] = i < p.n ? p.item(ctx, i) : 0;
      digit[j] = i < p.n ? p.digit(ctx, item[j]) : -1;
      equal[j] = ctx.match_any(static_cast<std::uint32_t>(digit[j]));
      if (digit[j] >= 0 && (equal[j] & lower_lanes) == 0) next[mine + digit[j]] += __builtin_popcount(equal[j]);
      ctx.sync_warp();
    }
    ctx.sync();

    for (int d = ctx.thread(); d < p.bins; d += threads) {
      std::int32_t position = ctx.load(p.table + d * p.blocks + ctx.block_x());
      for (int w = 0; w < warps; ++w) {
        const std::int32_t counted = next[w * p.bins + d];
        next[w * p.bins + d] = position;
        position += counted;
      }
    }
    ctx.sync();

    for (int j = 0; j < rounds; ++j) {
      std::int32_t position = 0;
      if (digit[j] >= 0) position = next[mine + digit[j]];
      ctx.sync_warp();
      if (digit[j] >= 0) {
        if ((equal[j] & lower_lanes) == 0) next[mine + digit[j]] = position + __builtin_popcount(equal[j]);
        ctx.store(p.out + position + __builtin_popcount(equal[j] & lower_lanes), item[j]);
      }
      ctx.sync_warp();
    }
  }
};

/// Sorts n items by key. Returns where in `workspace`, of counting_sort_workspace(n, keys.keys) elements, their order
/// stands: the items in increasing key, equal keys in increasing item.
inline const std::int32_t* counting_sort(Cuda::Queue& queue, const SortKeys& keys, index_t n, std::int32_t* workspace) {
  if (n > INT32_MAX || keys.keys >= INT32_MAX) fail(concat("counting_sort: ", n, " items are more than 2^31 - 1"));
  const int passes = counting_sort_passes(keys.keys);
  const index_t blocks = ceil_div(n, counting_sort_items);
  std::int32_t *out = workspace, *in = nullptr, *const table = workspace + (passes > 1 ? 2 : 1) * n;
  for (int pass = 0; pass < passes; ++pass) {
    const int shift = pass * counting_sort_tuning.digit_bits;
    const index_t largest = keys.keys >> shift;
    const int bins = static_cast<int>(largest < counting_sort_bins ? largest + 1 : counting_sort_bins);
    const CountingSortPass params{keys, in, out, n, shift, bins, blocks, table};
    launch<CountingSortCount>(queue, {blocks}, params);
    launch<CountingSortScan>(queue, {n > 0 ? 1 : 0}, params);
    launch<CountingSortMove>(queue, {blocks}, params);
    in = std::exchange(out, in ? in : workspace + n);
  }
  return in;
}

}  // namespace ashlar::inline v0
