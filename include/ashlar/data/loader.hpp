// Loader: the rows of a step on one data-parallel rank. A step's global batch is rows cursor .. cursor +
// global_batch_size of the source; data-parallel rank d reads its equal part. Read next: data/token_source.hpp, what a
// row of text is.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "ashlar/core/platform.hpp"
#include "ashlar/data/batch.hpp"
#include "ashlar/data/token_source.hpp"

namespace ashlar::inline v0 {

/// Batches as a function of the rows' numbers: neither the layout nor the number of ranks changes what is trained on,
/// and a loader's whole state is one number. Rows are numbered from 0 without end.
template <class Batch>
class Source {
 public:
  virtual ~Source() = default;
  /// Rows [first, first + rows), in host memory.
  virtual Batch read(std::int64_t first, index_t rows) const = 0;
};

/// Rows of a TokenSource, seq_len tokens and their targets each.
class TokenRows final : public Source<HostBatch> {
 public:
  TokenRows(std::shared_ptr<const TokenSource> tokens, index_t seq_len)
      : tokens_(std::move(tokens)), seq_len_(seq_len) {}
  HostBatch read(std::int64_t first, index_t rows) const override { return rows_of(*tokens_, seq_len_, first, rows); }

 private:
  static HostBatch rows_of(const TokenSource& source, index_t seq_len, std::int64_t first, index_t rows);

  std::shared_ptr<const TokenSource> tokens_;
  index_t seq_len_;
};

/// Where a run is in its data: how many rows have been read, over all ranks. A loader's whole state.
class DataCursor {
 public:
  std::int64_t cursor() const { return cursor_; }
  void seek(std::int64_t cursor) { cursor_ = cursor; }

 protected:
  std::int64_t cursor_ = 0;
};

template <class Batch>
class Loader : public DataCursor {
 public:
  Loader(std::shared_ptr<const Source<Batch>> source, index_t global_rows, int rank, int ranks)
      : source_(std::move(source)), global_rows_(global_rows), rank_(rank), ranks_(ranks) {}

  /// This rank's part of the next global batch.
  Batch next() {
    const index_t rows = global_rows_ / ranks_;
    Batch batch = source_->read(cursor_ + rank_ * rows, rows);
    cursor_ += global_rows_;
    return batch;
  }
  /// Rows [first, first + rows) of the source.
  Batch read(std::int64_t first, index_t rows) const { return source_->read(first, rows); }

 private:
  std::shared_ptr<const Source<Batch>> source_;
  index_t global_rows_;
  int rank_, ranks_;
};

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/data/loader.ipp"
#endif
