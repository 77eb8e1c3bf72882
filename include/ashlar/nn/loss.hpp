// Losses over a chunk of logits. CrossEntropy is the default; a trainer may be given any function of this form.
// Read next: nn/output_loss.hpp.
#pragma once

#include <functional>

#include "ashlar/nn/sequence_parallel.hpp"
#include "ashlar/ops/cross_entropy/cross_entropy.hpp"

namespace ashlar::inline v0 {

/// What each row is to predict, [N], and what that counts; the weights may be empty: 1 each.
template <class D>
struct Targets {
  TensorView<const std::int32_t, D> ids;
  TensorView<const float, D> weights;
};

/// A chunk of rows with their logits. With vocabulary sharded over tp, this rank's columns are the ids from first_id
/// on. Rows of logits and dlogits have gaps between them: go by row().
template <class E>
struct LogitsChunk {
  using D = typename E::Device;
  TensorView<const Acc<typename E::Compute>, D> logits;  // [n, V / tp]
  TensorView<const std::int32_t, D> targets;             // [n]; ops::ignore_index counts for nothing
  /// [n], what each target counts; empty: 1 each. Loss and dlogits are multiplied by it after the function.
  TensorView<const float, D> weights;
  index_t first_row = 0;  // the chunk's place among the micro-batch's rows
  index_t first_id = 0;
  double scale = 1;                              // the gradient is to be multiplied by this
  TensorView<typename E::Compute, D> dlogits;    // [n, V / tp]: to be written; empty: only the loss is wanted
  TensorView<Acc<typename E::Compute>, D> loss;  // [n]: to be written, unscaled, 0 where the target is ignored
};

/// Called for each chunk, on every rank of tp alike.
template <class E>
using LossFunction = std::function<void(Context<E>&, const LogitsChunk<E>&)>;

/// -log softmax(logits)[target]; with loss parallel over tp (three numbers a row are exchanged, never logits).
struct CrossEntropy {
  template <class E>
  void operator()(Context<E>& c, const LogitsChunk<E>& chunk) const {
    using A = Acc<typename E::Compute>;
    ArenaScope scope(c.scratch_arena());
    const index_t n = chunk.targets.count();
    auto statistics = c.template scratch<A>({n, 3});
    ops::cross_entropy_statistics<A>(c.queue, chunk.logits, chunk.targets, chunk.first_id, statistics);
    if (tensor_parallel(c)) {
      auto shards = c.template scratch<A>({c.tensor_parallel.size(), n, 3});
      c.tensor_parallel.all_gather(c.queue, statistics, shards).wait(c.queue);
      ops::cross_entropy_merge<A>(c.queue, shards, statistics);
    }
    ops::cross_entropy_backward<typename E::Compute>(c.queue, chunk.logits, chunk.targets, chunk.first_id, statistics,
                                                     chunk.scale, chunk.dlogits, chunk.loss);
  }
};

}  // namespace ashlar::inline v0
