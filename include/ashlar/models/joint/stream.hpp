// ImageText: what flows through the blocks of a joint model of images and text. Read next:
// models/joint/double_stream.hpp.
#pragma once

#include "ashlar/core/environment.hpp"
#include "ashlar/nn/context.hpp"
#include "ashlar/ops/modulation/shape.hpp"

namespace ashlar::inline v0 {

/// Rows of the image are those of sequences(0), rows of the text those of sequences(1). The condition is the same on
/// every rank of tp, and its gradient a partial sum over tp: all that follows is linear in it, and the weights that it
/// ends in are summed over ranks.
template <class E>
struct ImageText {
  typename E::View image;      // [Ni / tp, dim]
  typename E::View text;       // [Nt / tp, dim]
  typename E::View condition;  // [sequences, dim]

  template <class F, class... Streams>
  static void for_each_tensor(F&& f, Streams&... streams) {
    f(streams.image...);
    f(streams.text...);
    f(streams.condition...);
  }
};

/// The sequences that this rank's rows of a stream are of.
template <class E>
ops::SequenceRows sequence_rows(const Context<E>& c, std::size_t stream) {
  const auto& s = c.sequences(stream);
  const index_t rank = E::has(tp) ? c.tensor_parallel.rank() : 0, ranks = E::has(tp) ? c.tensor_parallel.size() : 1;
  return {s.rows() / ranks * rank, s.len};
}

}  // namespace ashlar::inline v0
