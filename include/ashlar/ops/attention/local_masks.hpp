// Masks that keep attention local: they narrow another mask to a chunk or a window of positions. Read next:
// ops/attention/mask.hpp.
#pragma once

#include <cstdint>

#include "ashlar/ops/attention/mask.hpp"

namespace ashlar::inline v0 {

/// M within chunks: a query sees the keys of its own chunk of chunk_size positions, position / chunk_size, that M shows
/// it (the layers of Llama 4 that have rotary positions).
template <Mask M>
struct Chunked {
  using Base = M;
  struct State {
    typename M::State base;
    index_t chunk_size = 0;
  };
  static constexpr bool needs_documents = M::needs_documents;
  /// Where the chunk of a position begins. Positions are less than 2^32: such a division is faster by far on a GPU.
  ASHLAR_HOST_DEVICE static index_t begin(const State& s, index_t position) {
    return position - static_cast<std::uint32_t>(position) % static_cast<std::uint32_t>(s.chunk_size);
  }
  ASHLAR_HOST_DEVICE static bool visible(const State& s, index_t b, index_t q, index_t k) {
    return begin(s, q) == begin(s, k) && M::visible(s.base, b, q, k);
  }
  ASHLAR_HOST_DEVICE static KeyRange keys(const State& s, index_t b, index_t q_begin, index_t q_end, index_t key_end) {
    const KeyRange seen = M::keys(s.base, b, q_begin, q_end, key_end);
    const index_t first = begin(s, q_begin), end = begin(s, q_end - 1) + s.chunk_size;
    return {seen.begin > first ? seen.begin : first, seen.end < end ? seen.end : end};
  }
  ASHLAR_HOST_DEVICE static bool all_visible(const State& s, index_t b, index_t q_begin, index_t q_end, index_t k_begin,
                                             index_t k_end) {
    const index_t first = begin(s, q_begin), end = first + s.chunk_size;
    return q_end <= end && k_begin >= first && k_end <= end &&
           M::all_visible(s.base, b, q_begin, q_end, k_begin, k_end);
  }
  static double pairs(const State& s, index_t query_len, index_t key_len) {
    return visible_pairs<M>(s.base, query_len, key_len < s.chunk_size ? key_len : s.chunk_size);
  }
};

/// M within a sliding window: of the keys that M shows it, a query sees those less than `window` positions before it
/// (Mistral). M looks back: Causal or BlockCausal.
template <Mask M>
struct SlidingWindow {
  using Base = M;
  struct State {
    typename M::State base;
    index_t window = 0;
  };
  static constexpr bool needs_documents = M::needs_documents;
  ASHLAR_HOST_DEVICE static bool visible(const State& s, index_t b, index_t q, index_t k) {
    return q - k < s.window && M::visible(s.base, b, q, k);
  }
  ASHLAR_HOST_DEVICE static KeyRange keys(const State& s, index_t b, index_t q_begin, index_t q_end, index_t key_end) {
    const KeyRange seen = M::keys(s.base, b, q_begin, q_end, key_end);
    const index_t begin = q_begin - s.window + 1;
    return {seen.begin > begin ? seen.begin : begin, seen.end};
  }
  ASHLAR_HOST_DEVICE static bool all_visible(const State& s, index_t b, index_t q_begin, index_t q_end, index_t k_begin,
                                             index_t k_end) {
    return q_end - 1 - k_begin < s.window && M::all_visible(s.base, b, q_begin, q_end, k_begin, k_end);
  }
  /// A window for each query, less the corner at the start of a sequence: that of queries which see fewer keys.
  static double pairs(const State& s, index_t query_len, index_t key_len) {
    const double window = static_cast<double>(key_len < s.window ? key_len : s.window);
    const double queries = static_cast<double>(query_len), corner = window < queries ? window : queries;
    return window * (queries - corner / 2);
  }
};

}  // namespace ashlar::inline v0
