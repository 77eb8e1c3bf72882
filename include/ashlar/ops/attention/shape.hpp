// The sizes of one attention call. Read next: ops/attention/arguments.hpp.
#pragma once

#include "ashlar/core/platform.hpp"
#include "ashlar/core/shape.hpp"
#include "ashlar/ops/attention/mask.hpp"

namespace ashlar::inline v0::ops {

struct AttentionShape {
  index_t batch = 0;
  index_t query_len = 0;
  index_t key_len = 0;
  index_t key_capacity = 0;  // rows of key and value per sequence, >= key_len (a key-value cache keeps room)
  index_t heads = 0;
  index_t kv_heads = 0;
  index_t head_dim = 0;     // columns of a head of query and key
  index_t value_dim = 0;    // columns of a head of value and out (multi-head latent attention: fewer)
  double scale = 0;         // usually head_dim^(-1/2)
  index_t query_begin = 0;  // position of the first query in its sequence
  index_t key_begin = 0;    // position of the first key: a block of a ring begins anywhere

  Shape query() const { return {batch * query_len, heads * head_dim}; }
  Shape key() const { return {batch * key_capacity, kv_heads * head_dim}; }
  Shape value() const { return {batch * key_capacity, kv_heads * value_dim}; }
  Shape out() const { return {batch * query_len, heads * value_dim}; }
  index_t lse() const { return batch * heads * query_len; }

  /// The rows of keys that hold every key that M lets queries [first, first + queries) of sequence b see.
  template <class M>
  ASHLAR_HOST_DEVICE KeyRange keys_of(const typename M::State& mask, index_t b, index_t first, index_t queries) const {
    const index_t position = query_begin + first;
    const KeyRange seen = M::keys(mask, b, position, position + queries, key_begin + key_len);
    return {(seen.begin > key_begin ? seen.begin : key_begin) - key_begin, seen.end - key_begin};
  }
};

}  // namespace ashlar::inline v0::ops
