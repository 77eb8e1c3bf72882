// What an attention call reads and writes. Read next: ops/attention/attention.hpp.
#pragma once

#include "ashlar/core/dtype.hpp"
#include "ashlar/core/error.hpp"
#include "ashlar/core/tensor_view.hpp"
#include "ashlar/ops/attention/shape.hpp"

namespace ashlar::inline v0::ops {

/// query [B query_len, heads head_dim], key [B key_capacity, kv_heads head_dim] and value [B key_capacity, kv_heads
/// value_dim], of which the first key_len rows of each sequence count; or, in the same form, their gradients. Head h
/// uses key-value head h / (heads / kv_heads). Row strides are free.
template <class T, class D>
struct QueryKeyValue {
  TensorView<T, D> query, key, value;

  void check(const AttentionShape& s) const {
    if (query.shape() != s.query() || key.shape() != s.key() || value.shape() != s.value() || s.kv_heads <= 0 ||
        s.heads % s.kv_heads != 0 || s.key_len > s.key_capacity)
      fail(concat("attention: query must be ", to_string(s.query()), ", key ", to_string(s.key()), ", value ",
                  to_string(s.value()), ", kv_heads must divide heads, and key_len be at most key_capacity; got ",
                  to_string(query.shape()), ", ", to_string(key.shape()), ", ", to_string(value.shape()), " with ",
                  s.heads, " heads, ", s.kv_heads, " key-value heads and ", s.key_len, " keys of ", s.key_capacity));
  }
};

/// out [B query_len, heads value_dim], and lse [B heads query_len]: the natural logarithm of the sum of exponentials of
/// a query's scores; -inf where a query sees no key, and its out is 0.
template <class T, class D>
struct AttentionOut {
  TensorView<T, D> out;
  TensorView<Acc<T>, D> lse;
};

/// What happens to the out and lse that are there.
enum class Merge : bool {
  replace,  // they are written over, without being read
  /// They are the result over other keys, and become the result over those and these: attention over blocks of keys,
  /// as a ring passes them on, is a loop of calls. Rows whose lse is -inf have seen nothing: their out isn't read.
  by_lse,
};

/// What a row of out must be: those that a backward pass reads, too.
inline void check_attention_rows(const AttentionShape& s, const Shape& out, index_t lse) {
  if (out != s.out() || lse != s.lse())
    fail(concat("attention: out and its gradient must be ", to_string(s.out()), ", lse and delta [", s.lse(), "]; got ",
                to_string(out), " and [", lse, "]"));
}

}  // namespace ashlar::inline v0::ops
