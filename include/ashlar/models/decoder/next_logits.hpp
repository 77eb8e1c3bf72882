// next_logits: a decoder reads tokens and says what comes after them, with a key-value cache.
#pragma once

#include "ashlar/models/decoder/decoder.hpp"
#include "ashlar/models/stage.hpp"

namespace ashlar::inline v0 {

/// An empty cache for `max_len` positions of `batch` sequences, with room for what each layer of the stage keeps.
template <Model M>
KeyValueCache<typename M::Environment> make_cache(Stage<M>& stage, Memory<typename M::Environment::Device>& memory,
                                                  index_t batch, index_t max_len) {
  KeyValueCache<typename M::Environment> cache(batch, max_len);
  stage.blocks().for_each_block([&](auto& block) {
    const auto& core = block.attention().core();
    cache.add_layer(memory, core.key_width(), core.value_width());
  });
  return cache;
}

/// The logits [B, V] (V / tp under tp) after the last token of each sequence; appends to the cache. Both ends of the
/// model are on the stage. The view is valid until the next call.
template <Model M>
auto next_logits(Stage<M>& stage, const ViewBatch<M>& batch, KeyValueCache<typename M::Environment>& cache) {
  using E = typename M::Environment;
  return stage.infer(batch, cache, [&](Context<E>& c, const DecoderBack<E>& back, const Residual<E>& out) {
    cache.length += batch.seq_len;
    const index_t s = batch.seq_len;
    if (batch.rows == 1) return back.output().logits(c, out.x, s - 1, 1);
    const auto all = back.output().logits(c, out.x, 0, batch.rows * s);
    return typename E::template ViewOf<typename E::Master>(all.row(s - 1), {batch.rows, all.cols()}, s * all.cols());
  });
}

}  // namespace ashlar::inline v0
