// MappedTokens: int32 tokens in a file that is mapped into memory: a corpus costs no memory of its own, and ranks of
// one machine share what they read. Read next: program/token_file.hpp, the file.
#pragma once

#include <memory>
#include <string>

#include "ashlar/core/platform.hpp"
#include "ashlar/data/token_sequence.hpp"

namespace ashlar::inline v0 {

/// A file, or a part of one, which shares its mapping.
class MappedTokens final : public TokenSequence {
 public:
  /// Maps `path`, where `tokens` tokens stand from byte `begin` on, little-endian. Throws Error where it can't. The
  /// file must stay as it is while this lives.
  MappedTokens(const std::string& path, std::size_t begin, std::size_t tokens, index_t vocab_size,
               std::int32_t end_of_document);

  /// Tokens [first, last).
  MappedTokens part(std::size_t first, std::size_t last) const {
    MappedTokens out = *this;
    out.tokens_ = tokens_ + first * sizeof(std::int32_t);
    out.size_ = last - first;
    return out;
  }

  std::size_t size() const override { return size_; }
  /// Throws Error that names the file for a token that is none of the vocabulary.
  ASHLAR_ONCE void read(std::size_t begin, std::span<std::int32_t> out) const override;
  std::int32_t end_of_document() const override { return end_of_document_; }
  index_t vocab_size() const override { return vocab_size_; }

 private:
  std::string path_;
  std::shared_ptr<const std::byte> file_;
  const std::byte* tokens_;  // of any alignment
  std::size_t size_;
  index_t vocab_size_;
  std::int32_t end_of_document_;
};

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/data/mapped_tokens.ipp"
#endif
