// Validation: the mean loss on held-out text. Used by train/train_loop.hpp and by the subcommand evaluate.
#pragma once

#include "ashlar/data/text.hpp"
#include "ashlar/train/trainer.hpp"

namespace ashlar::inline v0 {

/// The mean loss over the first `batches` global batches of the text, or over all its whole batches when negative; the
/// last batch is filled up with rows that do not count. Collective.
template <class E>
double validate(Trainer<E>& trainer, const std::shared_ptr<const Text>& text, int batches) {
  const auto rows = std::make_shared<TextRows>(text, trainer.batch().seq_len, 0, false);
  const Loader loader = trainer.loader(rows);
  const index_t global = trainer.batch().global_rows, local = trainer.batch().local_rows;
  const std::int64_t all = ceil_div(rows->windows(), global);
  const std::int64_t n = batches < 0 ? all : std::min<std::int64_t>(batches, all);
  double loss = 0, tokens = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t first = i * global + trainer.mesh().dp_rank() * local;
    HostBatch batch = loader.read(first, local);
    const auto counted =
        static_cast<std::size_t>(std::clamp<std::int64_t>(rows->windows() - first, 0, local) * batch.seq_len);
    std::fill(batch.targets.begin() + static_cast<std::ptrdiff_t>(counted), batch.targets.end(), ops::ignore_index);
    const double valid =
        static_cast<double>(std::min<std::int64_t>(global, rows->windows() - i * global) * batch.seq_len);
    loss += trainer.evaluate(batch) * valid;
    tokens += valid;
  }
  return tokens > 0 ? loss / tokens : 0;
}

}  // namespace ashlar::inline v0
