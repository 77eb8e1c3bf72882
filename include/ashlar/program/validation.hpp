// Validation: the mean loss on held-out text, and whether it was held out. Read next: data/text.hpp.
#pragma once

#include <optional>

#include "ashlar/checkpoint/folder.hpp"
#include "ashlar/config/json.hpp"
#include "ashlar/core/platform.hpp"
#include "ashlar/data/text.hpp"
#include "ashlar/ops/cross_entropy/ignore_index.hpp"
#include "ashlar/train/trainer.hpp"

namespace ashlar::inline v0 {

/// The mean loss over the rows of the first `batches` global batches of the text, or over all its rows when negative:
/// the last batch is filled up with rows that do not count. Collective. Throws ConfigError for a text that is shorter
/// than a row.
template <class M>
double validate(Trainer<M>& trainer, const std::shared_ptr<const TokenSequence>& text, int batches) {
  const auto rows = std::make_shared<TextRows>(text, trainer.batch().seq_len, 0, false);
  const auto loader = trainer.loader(rows);
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

/// What a run says of its last held-out loss: of bytes, beside what a bigram model has on the same text.
std::string held_out_text(double loss, std::optional<double> bigram_loss);

/// A sentence for people where the run that made `checkpoint` held out less of its text than `config` does, so that the
/// loss may be of text that it trained on; empty where it did not, or where the checkpoint does not say. One rank calls
/// it. Throws Error where the manifest can't be read.
std::string trained_on_note(const Config& config, const std::filesystem::path& checkpoint);

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/program/validation.ipp"
#endif
