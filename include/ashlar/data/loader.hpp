// Loader: the rows of a step on one data-parallel rank. A step's global batch is rows cursor .. cursor +
// global_batch_size of the source; data-parallel rank d reads its equal part. Used by train/trainer.hpp.
// Read next: data/token_source.hpp, what a row is.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "ashlar/data/token_source.hpp"

namespace ashlar::inline v0 {

/// Rows of tokens in host memory: [rows, seq_len] each.
struct HostBatch {
  index_t rows = 0, seq_len = 0;
  std::vector<std::int32_t> tokens, targets, document_start;

  /// Targets that count, that is, are not negative.
  std::int64_t valid_tokens() const {
    std::int64_t n = 0;
    for (std::int32_t t : targets) n += t >= 0;
    return n;
  }
};

class Loader {
 public:
  Loader(std::shared_ptr<const TokenSource> source, index_t seq_len, index_t global_rows, int rank, int ranks)
      : source_(std::move(source)), seq_len_(seq_len), global_rows_(global_rows), rank_(rank), ranks_(ranks) {}

  /// This rank's part of the next global batch.
  HostBatch next() {
    const index_t rows = global_rows_ / ranks_;
    HostBatch batch = read(cursor_ + rank_ * rows, rows);
    cursor_ += global_rows_;
    return batch;
  }
  /// Rows [first, first + rows) of the source.
  template <class CompiledOnce = void>
  HostBatch read(std::int64_t first, index_t rows) const {
    HostBatch batch{rows, seq_len_, {}, {}, {}};
    const auto s = static_cast<std::size_t>(seq_len_), n = static_cast<std::size_t>(rows) * s;
    batch.tokens.resize(n);
    batch.targets.resize(n);
    batch.document_start.resize(n);
    std::vector<std::int32_t> row(s + 1);
    for (std::size_t r = 0; r < static_cast<std::size_t>(rows); ++r) {
      source_->read(first + static_cast<std::int64_t>(r), row);
      std::copy(row.begin(), row.end() - 1, batch.tokens.begin() + static_cast<std::ptrdiff_t>(r * s));
      std::copy(row.begin() + 1, row.end(), batch.targets.begin() + static_cast<std::ptrdiff_t>(r * s));
      find_document_starts(std::span(batch.tokens).subspan(r * s, s), source_->end_of_document(),
                           std::span(batch.document_start).subspan(r * s, s));
    }
    return batch;
  }

  /// How many rows of the source have been read, over all ranks: the loader's state.
  std::int64_t cursor() const { return cursor_; }
  void seek(std::int64_t cursor) { cursor_ = cursor; }
  const TokenSource& source() const { return *source_; }

 private:
  std::shared_ptr<const TokenSource> source_;
  index_t seq_len_, global_rows_;
  int rank_, ranks_;
  std::int64_t cursor_ = 0;
};

}  // namespace ashlar::inline v0
