// AttentionCore: softmax(q k^T) v under a mask, wherever the keys are: in this pass, in another stream, or in the cache
// of generation. Knows no weights: projections (nn/attention/grouped_query.hpp and its neighbours) fill in queries,
// keys and values. Read next: ops/attention/attention.hpp.
#pragma once

#include "ashlar/nn/context.hpp"
#include "ashlar/ops/attention/attention.hpp"
#include "ashlar/ops/attention/local_masks.hpp"

namespace ashlar::inline v0 {

namespace detail {
/// The state of a mask over the documents of `rows`, of which there may be `capacity` positions a sequence. `local`:
/// the chunk or window of masks that have one.
template <Mask M, class D>
typename M::State mask_state(const Sequences<D>& rows, index_t capacity, index_t local) {
  if constexpr (requires { typename M::Base; })
    return {mask_state<typename M::Base>(rows, capacity, local), local};
  else if constexpr (M::needs_documents)
    return {rows.document_start.data(), capacity};
  else
    return {};
}
}  // namespace detail

template <class E, Mask M>
class AttentionCore {
 public:
  using T = typename E::Compute;
  using D = typename E::Device;
  using View = typename E::View;
  using ConstView = typename E::ConstView;
  using Rows = Sequences<D>;

  /// Of one rank. A key-value head serves heads / kv_heads heads.
  struct Sizes {
    index_t heads = 0, kv_heads = 0;
    index_t head_dim = 0, value_dim = 0;  // of queries and keys; of values
    double scale = 0;                     // of the scores before the softmax
    index_t local = 0;                    // the chunk or window of masks that have one
  };
  struct Saved {
    View query, key;                                      // [Nq, heads head_dim], [Nk, kv_heads head_dim], kept
    View value;                                           // [Nk, kv_heads value_dim], kept
    View out;                                             // [Nq, heads value_dim], kept
    typename E::template ViewOf<typename E::Master> lse;  // [heads Nq], kept
  };

  /// `layer` numbers the layers of a stage that have a cache.
  AttentionCore(const Sizes& sizes, int layer) : sizes_(sizes), layer_(layer) {}

  /// Of a row of keys and of values.
  index_t key_width() const { return sizes_.kv_heads * sizes_.head_dim; }
  index_t value_width() const { return sizes_.kv_heads * sizes_.value_dim; }

  /// Room for queries of the rows `from` and for keys and values of the rows `to`, for a projection to write; kept.
  void allocate(Context<E>& c, const Rows& from, const Rows& to, Saved& saved) const {
    saved.query = c.kept({from.rows(), sizes_.heads * sizes_.head_dim});
    saved.key = c.kept({to.rows(), key_width()});
    saved.value = c.kept({to.rows(), value_width()});
    saved.out = c.kept({from.rows(), sizes_.heads * sizes_.value_dim});
    saved.lse = c.template kept<typename E::Master>({from.rows() * sizes_.heads});
  }

  /// Writes saved.out; with a cache, appends the keys and values to it and attends to all of it.
  void forward(Context<E>& c, const Rows& from, const Rows& to, Saved& saved) const {
    c.observe("query", saved.query, {.columns_over = Axis::tp});
    c.observe("key", saved.key, {.columns_over = Axis::tp});
    c.observe("value", saved.value, {.columns_over = Axis::tp});
    ops::AttentionShape s = shape(from, to);
    ConstView key = saved.key, value = saved.value;
    if (c.cache) {
      append(c, to, saved);
      const auto& layer = c.cache->layers[static_cast<std::size_t>(layer_)];
      s.query_begin = c.cache->length;
      s.key_len = c.cache->length + s.query_len;
      s.key_capacity = c.cache->capacity;
      key = layer.key.view();
      value = layer.value.view();
    }
    const index_t capacity = c.cache ? c.cache->capacity : to.len;
    ops::attention<M, T, D>(c.queue, s, detail::mask_state<M>(to, capacity, sizes_.local), {saved.query, key, value},
                            {saved.out, saved.lse});
    c.observe("out", saved.out, {.columns_over = Axis::tp});
  }

  /// The gradients of queries, keys and values, written whole.
  void backward(Context<E>& c, const Rows& from, const Rows& to, ConstView dout, const Saved& saved, View dquery,
                View dkey, View dvalue) const {
    ArenaScope scope(c.scratch_arena());
    const ops::AttentionShape s = shape(from, to);
    auto delta = c.template scratch<typename E::Master>({saved.lse.count()});
    ops::attention_delta<T, D>(c.queue, s, saved.out, dout, delta);
    const bool adds = c.unordered_sums && !c.computes_in_master();
    auto query_sums = c.template scratch<typename E::Master>({adds ? ops::attention_query_sums<D>(s) : 0});
    ops::attention_backward<M, T, D>(c.queue, s, detail::mask_state<M>(to, to.len, sizes_.local),
                                     {saved.query, saved.key, saved.value}, saved.lse, delta, dout,
                                     {dquery, dkey, dvalue}, false, query_sums);
  }

 private:
  ops::AttentionShape shape(const Rows& from, const Rows& to) const {
    ops::AttentionShape s;
    s.batch = from.count;
    s.query_len = from.len;
    s.key_len = s.key_capacity = to.len;
    s.heads = sizes_.heads;
    s.kv_heads = sizes_.kv_heads;
    s.head_dim = sizes_.head_dim;
    s.value_dim = sizes_.value_dim;
    s.scale = sizes_.scale;
    return s;
  }
  void append(Context<E>& c, const Rows& rows, const Saved& saved) const {
    auto& layer = c.cache->layers[static_cast<std::size_t>(layer_)];
    const auto put = [&](const View& from, const View& to) {
      for (index_t b = 0; b < rows.count; ++b)
        D::copy(c.queue, to.rows(b * c.cache->capacity + c.cache->length, 1).data(), from.rows(b * rows.len, 1).data(),
                static_cast<std::size_t>(rows.len * from.cols()) * sizeof(T));
    };
    put(saved.key, layer.key.view());
    put(saved.value, layer.value.view());
  }

  Sizes sizes_;
  int layer_;
};

}  // namespace ashlar::inline v0
