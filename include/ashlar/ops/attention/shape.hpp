// The sizes of one attention call. Read next: ops/attention/attention.hpp.
#pragma once

#include "ashlar/core/error.hpp"
#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0::ops {

struct AttentionShape {
  index_t batch = 0;
  index_t query_len = 0;
  index_t key_len = 0;
  index_t key_capacity = 0;  // rows of key and value per sequence, >= key_len (a key-value cache keeps room)
  index_t heads = 0;
  index_t kv_heads = 0;
  index_t head_dim = 0;
  double scale = 0;          // usually head_dim^(-1/2)
  index_t query_offset = 0;  // position of the first query in its sequence

  void check(const Shape& query, const Shape& key, const Shape& value, const Shape& out, index_t lse) const {
    const Shape q{batch * query_len, heads * head_dim}, k{batch * key_capacity, kv_heads * head_dim};
    if (!(query == q && key == k && value == k && out == q && lse == batch * heads * query_len && kv_heads > 0 &&
          heads % kv_heads == 0 && key_len <= key_capacity))
      fail(concat("attention: query and out must be ", to_string(q), ", key and value ", to_string(k),
                  ", and kv_heads divide heads; got ", to_string(query), ", ", to_string(key), ", ", to_string(value),
                  ", ", to_string(out), " with ", heads, " heads and ", kv_heads, " key-value heads"));
  }
};

}  // namespace ashlar::inline v0::ops
