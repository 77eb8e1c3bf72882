// Attention masks: a predicate over (row, query, key) with bounds a tile, and state per micro-batch. A mask of the
// user's own is a struct of this form; the same text runs on Cpu and inside the Cuda kernels. Read next:
// ops/attention/local_masks.hpp.
#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>

#include "ashlar/core/platform.hpp"
#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0 {

/// Keys [begin, end).
struct KeyRange {
  index_t begin = 0, end = 0;
};

/// A mask has
///   State: trivially copyable; may point to device memory, such as `document_start` below; made once a micro-batch;
///   needs_documents: whether the State is made from the tokens' documents;
///   visible(state, b, q, k): whether query position q of sequence b sees key position k;
///   keys(state, b, q_begin, q_end, key_end): a range that ends at key_end at most and holds every key before it that
///   any query of [q_begin, q_end) sees; there is a query;
///   all_visible(state, b, q_begin, q_end, k_begin, k_end): true only if every such pair is visible (lets a tile skip
///   the predicate; false is always right);
/// and may have
///   pairs(state, query_len, key_len): how many pairs it shows, about, where costs are counted; half of all without it.
/// Positions count from the start of the sequence, wherever queries and keys of a call begin (AttentionShape).
template <class M>
concept Mask = std::is_trivially_copyable_v<typename M::State> && requires(const typename M::State& s, index_t i) {
  { M::needs_documents } -> std::convertible_to<bool>;
  { M::visible(s, i, i, i) } -> std::same_as<bool>;
  { M::keys(s, i, i, i, i) } -> std::same_as<KeyRange>;
  { M::all_visible(s, i, i, i, i, i) } -> std::same_as<bool>;
};

/// How many pairs of query and key M shows, for counts of work.
template <class M>
double visible_pairs(const typename M::State& state, index_t query_len, index_t key_len) {
  if constexpr (requires { M::pairs(state, query_len, key_len); })
    return M::pairs(state, query_len, key_len);
  else
    return static_cast<double>(query_len * key_len) / 2;
}

/// A query sees itself and what came before.
struct Causal {
  struct State {};
  static constexpr bool needs_documents = false;
  ASHLAR_HOST_DEVICE static bool visible(const State&, index_t, index_t q, index_t k) { return k <= q; }
  ASHLAR_HOST_DEVICE static KeyRange keys(const State&, index_t, index_t, index_t q_end, index_t key_end) {
    return {0, q_end < key_end ? q_end : key_end};
  }
  ASHLAR_HOST_DEVICE static bool all_visible(const State&, index_t, index_t q_begin, index_t, index_t, index_t k_end) {
    return k_end <= q_begin + 1;
  }
};

/// Every query sees every key: encoders, images, and attention across streams (to keys of another sequence).
struct Bidirectional {
  struct State {};
  static constexpr bool needs_documents = false;
  ASHLAR_HOST_DEVICE static bool visible(const State&, index_t, index_t, index_t) { return true; }
  ASHLAR_HOST_DEVICE static KeyRange keys(const State&, index_t, index_t, index_t, index_t key_end) {
    return {0, key_end};
  }
  ASHLAR_HOST_DEVICE static bool all_visible(const State&, index_t, index_t, index_t, index_t, index_t) { return true; }
  static double pairs(const State&, index_t query_len, index_t key_len) {
    return static_cast<double>(query_len * key_len);
  }
};

/// Causal within a document. A document ends with its end-of-document token; the next token starts another.
struct BlockCausal {
  struct State {
    const std::int32_t* document_start = nullptr;  // [B, seq_len]: where the document of a position begins
    index_t seq_len = 0;
  };
  static constexpr bool needs_documents = true;
  ASHLAR_HOST_DEVICE static index_t start(const State& s, index_t b, index_t q) {
    return s.document_start[b * s.seq_len + q];
  }
  ASHLAR_HOST_DEVICE static bool visible(const State& s, index_t b, index_t q, index_t k) {
    return (k <= q) & (k >= start(s, b, q));  // no branch: kernels test many keys of one query
  }
  ASHLAR_HOST_DEVICE static KeyRange keys(const State& s, index_t b, index_t q_begin, index_t q_end, index_t key_end) {
    return {start(s, b, q_begin), q_end < key_end ? q_end : key_end};
  }
  ASHLAR_HOST_DEVICE static bool all_visible(const State& s, index_t b, index_t q_begin, index_t q_end, index_t k_begin,
                                             index_t k_end) {
    return k_end <= q_begin + 1 && k_begin >= start(s, b, q_end - 1);
  }
};

}  // namespace ashlar::inline v0
