// TokenSource: rows of tokens as a function of their number, so that neither the layout nor the number of ranks changes
// what is trained on, and the loader's whole state is one cursor. Read next: data/random_tokens.hpp, data/text.hpp.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0 {

/// Rows are numbered from 0 without end; a finite data set begins again, in another order.
class TokenSource {
 public:
  virtual ~TokenSource() = default;
  /// Writes row `row`: seq_len + 1 tokens. Token i + 1 is what token i is to predict.
  virtual void read(std::int64_t row, std::span<std::int32_t> tokens) const = 0;
  /// The token that ends a document, or -1.
  virtual std::int32_t end_of_document() const { return -1; }
  /// Ids are below this.
  virtual index_t vocab_size() const = 0;
};

/// Where each token's document begins, for masks: start [S] of tokens [S]. The end-of-document token belongs to the
/// document that it ends.
inline void find_document_starts(std::span<const std::int32_t> tokens, std::int32_t end_of_document,
                                 std::span<std::int32_t> start) {
  std::int32_t begin = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    start[i] = begin;
    if (tokens[i] == end_of_document) begin = static_cast<std::int32_t>(i + 1);
  }
}

}  // namespace ashlar::inline v0
