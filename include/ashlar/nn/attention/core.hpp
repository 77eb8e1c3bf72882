// AttentionCore: softmax(q k^T) v under a mask, wherever the keys are: in this pass, or in the cache of generation.
// Knows no weights: projections (nn/attention/grouped_query.hpp and its neighbours) fill in queries, keys and values.
// Read next: ops/attention/attention.hpp.
#pragma once

#include "ashlar/nn/context.hpp"
#include "ashlar/ops/attention/attention.hpp"

namespace ashlar::inline v0 {

template <class E, Mask M>
class AttentionCore {
 public:
  using D = typename E::Device;
  using View = typename E::View;
  using ConstView = typename E::ConstView;

  /// Of one rank. A key-value head serves heads / kv_heads heads.
  struct Sizes {
    index_t heads = 0, kv_heads = 0;
    index_t head_dim = 0;  // of queries and keys
    double scale = 0;      // of the scores before the softmax
  };
  struct Saved {
    View query, key, value, out;                          // [N, heads * head_dim] (key, value: kv heads), kept
    typename E::template ViewOf<typename E::Master> lse;  // [count heads len], kept
  };

  /// `layer` numbers the layers of a stage that have a cache.
  AttentionCore(const Sizes& sizes, int layer) : sizes_(sizes), layer_(layer) {}

  index_t key_width() const { return sizes_.kv_heads * sizes_.head_dim; }
  index_t value_width() const { return sizes_.kv_heads * sizes_.head_dim; }

  /// Room for queries, keys and values of the rows of stream 0, for a projection to write; kept.
  void allocate(Context<E>& c, Saved& saved) const {
    const index_t n = c.sequences().rows();
    saved.query = c.kept({n, sizes_.heads * sizes_.head_dim});
    saved.key = c.kept({n, key_width()});
    saved.value = c.kept({n, value_width()});
    saved.out = c.kept({n, sizes_.heads * sizes_.head_dim});
    saved.lse = c.template kept<typename E::Master>({n * sizes_.heads});
  }

  /// Writes saved.out; with a cache, appends the keys and values to it and attends to all of it.
  void forward(Context<E>& c, Saved& saved) const {
    c.observe("query", saved.query);
    c.observe("key", saved.key);
    c.observe("value", saved.value);
    ops::AttentionShape s = shape(c);
    ConstView key = saved.key, value = saved.value;
    if (c.cache) {
      append(c, saved);
      const auto& layer = c.cache->layers[static_cast<std::size_t>(layer_)];
      s.query_offset = c.cache->length;
      s.key_len = c.cache->length + s.query_len;
      s.key_capacity = c.cache->capacity;
      key = layer.key.view();
      value = layer.value.view();
    }
    ops::attention<M, typename E::Compute>(c.queue, s, mask(c), saved.query, key, value, saved.out, saved.lse);
    c.observe("out", saved.out);
  }

  /// The gradients of queries, keys and values, written whole.
  void backward(Context<E>& c, ConstView dout, const Saved& saved, View dquery, View dkey, View dvalue) const {
    ArenaScope scope(c.scratch_arena());
    auto delta = c.template scratch<typename E::Master>({saved.lse.count()});
    ops::attention_backward<M, typename E::Compute>(c.queue, shape(c), mask(c), saved.query, saved.key, saved.value,
                                                    saved.out, saved.lse, dout, dquery, dkey, dvalue, delta);
  }

 private:
  ops::AttentionShape shape(const Context<E>& c) const {
    const Sequences<D>& rows = c.sequences();
    return {rows.count, rows.len, rows.len, rows.len, sizes_.heads, sizes_.kv_heads, sizes_.head_dim, sizes_.scale, 0};
  }
  static typename M::State mask(const Context<E>& c) {
    if constexpr (M::needs_documents)
      return {c.sequences().document_start.data(), c.cache ? c.cache->capacity : c.sequences().len};
    else
      return {};
  }
  void append(Context<E>& c, const Saved& saved) const {
    auto& layer = c.cache->layers[static_cast<std::size_t>(layer_)];
    const Sequences<D>& rows = c.sequences();
    for (index_t b = 0; b < rows.count; ++b) {
      const index_t at = b * c.cache->capacity + c.cache->length;
      for (const auto& [from, to] :
           {std::pair(saved.key, layer.key.view()), std::pair(saved.value, layer.value.view())})
        D::copy(c.queue, to.rows(at, 1).data(), from.rows(b * rows.len, 1).data(),
                static_cast<std::size_t>(rows.len * from.cols()) * sizeof(typename E::Compute));
    }
  }

  Sizes sizes_;
  int layer_;
};

}  // namespace ashlar::inline v0
