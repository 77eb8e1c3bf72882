// Masks over the tiles of the Hopper attention kernels: which keys a tile of queries needs, whether a tile has to be
// tested at all, and the test inside the registers of a wgmma result. Read next: ops/attention/flash_forward.cuh.
#pragma once

#include <limits>

#include "ashlar/device/cuda/simt.cuh"
#include "ashlar/ops/attention/mask.hpp"

namespace ashlar::inline v0::ops::cuda::kernel {

/// The sizes of a call. Queries and keys are numbered from 0 in the tensors; masks speak of positions, which begin at
/// query_begin and key_begin. Everything fits 32 bits, so that a mask's comparisons are of 32 bits once it is inlined.
struct FlashSizes {
  int batch, query_len, key_len, heads, kv_heads, group;  // group = heads / kv_heads
  int query_begin, key_begin;
  float scale;
};

/// Rows [begin, end) of a tensor.
struct FlashRange {
  int begin, end;
  ASHLAR_DEVICE int tiles(int tile) const { return (end - begin + tile - 1) / tile; }
};

/// One tile of kept rows, and the tiles that stream past it: `tiles` of them, from row `begin` on.
struct FlashWork {
  int b, head, first, begin, tiles;
};

/// Where a thread's elements of a result [64, N] of wgmma lie: a warp has 16 rows, four threads share a row.
struct FlashFragment {
  int first_row, first_col;
  template <class Context>
  ASHLAR_DEVICE explicit FlashFragment(const Context& ctx)
      : first_row(ctx.thread() % 128 / warp_size * 16 + ctx.lane() / 4), first_col(ctx.lane() % 4 * 2) {}
  ASHLAR_DEVICE int row(int i) const { return first_row + i / 2 % 2 * 8; }
  ASHLAR_DEVICE int col(int i) const { return first_col + i / 4 * 8 + i % 2; }
};

/// The mask M of sequence b.
template <class M>
struct FlashMask {
  const typename M::State& state;
  const FlashSizes& sizes;
  index_t b;

  /// The keys that any of these queries may see, of those that exist. Tiles outside of it are never loaded. Never
  /// empty, so that every tile of queries has work: a key that nobody sees is hidden like any other.
  ASHLAR_DEVICE FlashRange keys(int query, int queries) const {
    const int end = clamp(query + queries, sizes.query_len);
    const KeyRange seen =
        M::keys(state, b, sizes.query_begin + query, sizes.query_begin + end, sizes.key_begin + sizes.key_len);
    const int first = clamp(seen.begin - sizes.key_begin, sizes.key_len - 1);
    const int last = clamp(seen.end - sizes.key_begin, sizes.key_len);
    return {first, last > first ? last : first + 1};
  }
  /// Whether every query of the tile sees every key of it: the test can be left out. Queries past the end don't count.
  ASHLAR_DEVICE bool all_visible(int query, int queries, int key, int keys) const {
    const int begin = clamp(query, sizes.query_len - 1), end = clamp(query + queries, sizes.query_len);
    return (key + keys <= sizes.key_len) & M::all_visible(state, b, sizes.query_begin + begin, sizes.query_begin + end,
                                                          sizes.key_begin + key, sizes.key_begin + key + keys);
  }
  /// A query past the end counts as the last one: its row is never stored. No branches: a warp tests many pairs at
  /// once.
  ASHLAR_DEVICE bool visible(int query, int key) const {
    const int q = query < sizes.query_len ? query : sizes.query_len - 1;
    return (key < sizes.key_len) & M::visible(state, b, sizes.query_begin + q, sizes.key_begin + key);
  }

  /// scores [64 queries, 2 N keys], or transposed: -inf where the mask hides the key. A loop over Part scores at a
  /// time: what a mask computes for each of them takes registers, which may be short.
  template <bool Transposed, int Part, int N>
  ASHLAR_DEVICE void hide(float (&scores)[N], const FlashFragment& at, int query, int key) const {
    static_assert(Part % 4 == 0);
    std::uint64_t seen = 0;
#pragma unroll 1
    for (int begin = 0; begin < N; begin += Part) {
      const int q = query + (Transposed ? 2 * begin : 0), k = key + (Transposed ? 0 : 2 * begin);
      std::uint64_t bits = 0;
#pragma unroll
      for (int i = 0; i < Part; ++i) {
        const bool see = visible(q + (Transposed ? at.col(i) : at.row(i)), k + (Transposed ? at.row(i) : at.col(i)));
        bits |= std::uint64_t{see} << i;
      }
      seen |= bits << begin;
    }
#pragma unroll
    for (int i = 0; i < N; ++i) scores[i] = seen >> i & 1 ? scores[i] : -std::numeric_limits<float>::infinity();
  }

 private:
  ASHLAR_DEVICE static int clamp(index_t x, int end) {
    return x < 0 ? 0 : x > end ? end : static_cast<int>(x);
  }
};

}  // namespace ashlar::inline v0::ops::cuda::kernel
