// How the stable sort by small integer keys is cut into blocks and digits, and so how much workspace it needs. Read
// next: device/cuda/counting_sort.cuh.
#pragma once

#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0 {

struct CountingSortTuning {
  int threads;           // of a block
  int items_per_thread;  // so a block ranks threads * items_per_thread consecutive items
  int digit_bits;        // of a key, ranked by one pass: 511 experts in one, 262143 tokens of a vocabulary in two
};
inline constexpr CountingSortTuning counting_sort_tuning{256, 8, 9};
inline constexpr int counting_sort_bins = 1 << counting_sort_tuning.digit_bits;
inline constexpr int counting_sort_items = counting_sort_tuning.threads * counting_sort_tuning.items_per_thread;

/// Passes that keys in [0, keys] take; the key `keys` itself stands for every key out of range.
constexpr int counting_sort_passes(index_t keys) {
  int passes = 1;
  for (index_t rest = keys >> counting_sort_tuning.digit_bits; rest > 0; rest >>= counting_sort_tuning.digit_bits)
    ++passes;
  return passes;
}

/// Elements of the int32 workspace that sorting n items needs: the order, its other buffer, and a histogram a block.
constexpr index_t counting_sort_workspace(index_t n, index_t keys) {
  return (counting_sort_passes(keys) > 1 ? 2 : 1) * n + ceil_div(n, counting_sort_items) * counting_sort_bins;
}

}  // namespace ashlar::inline v0
