// TokenSequence: tokens that stand one after another, wherever they are kept: a text in memory (data/text.hpp), a file
// that is mapped (data/mapped_tokens.hpp). Read next: data/text.hpp, rows of one.
#pragma once

#include <cstdint>
#include <span>

#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0 {

class TokenSequence {
 public:
  virtual ~TokenSequence() = default;
  virtual std::size_t size() const = 0;
  /// Tokens begin .. begin + out.size(), which must be there.
  virtual void read(std::size_t begin, std::span<std::int32_t> out) const = 0;
  /// The token that ends a document, or -1.
  virtual std::int32_t end_of_document() const = 0;
  /// Ids are below this.
  virtual index_t vocab_size() const = 0;
};

}  // namespace ashlar::inline v0
