// Definitions of loader.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/data/loader.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE HostBatch TokenRows::rows_of(const TokenSource& source, index_t seq_len, std::int64_t first, index_t rows) {
  HostBatch batch{rows, seq_len, {}, {}, {}};
  const auto s = static_cast<std::size_t>(seq_len), n = static_cast<std::size_t>(rows) * s;
  batch.tokens.resize(n);
  batch.targets.resize(n);
  batch.document_start.resize(n);
  std::vector<std::int32_t> row(s + 1);
  for (std::size_t r = 0; r < static_cast<std::size_t>(rows); ++r) {
    source.read(first + static_cast<std::int64_t>(r), row);
    std::copy(row.begin(), row.end() - 1, batch.tokens.begin() + static_cast<std::ptrdiff_t>(r * s));
    std::copy(row.begin() + 1, row.end(), batch.targets.begin() + static_cast<std::ptrdiff_t>(r * s));
    find_document_starts(std::span(batch.tokens).subspan(r * s, s), source.end_of_document(),
                         std::span(batch.document_start).subspan(r * s, s));
  }
  return batch;
}

}  // namespace ashlar::inline v0
