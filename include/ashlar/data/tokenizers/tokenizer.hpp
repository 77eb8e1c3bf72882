// Tokenizer: text to ids and back. What a run has is known only when it starts, so this is an interface.
// Read next: data/tokenizers/byte_tokenizer.hpp, the smallest; data/tokenizers/open.hpp, how one is found;
// data/tokenizers/byte_pair_tokenizer.hpp.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ashlar/core/error.hpp"
#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0 {

/// A token that stands for itself and not for a piece of text, as "<|end_of_text|>".
struct SpecialToken {
  std::int32_t id = -1;
  std::string text;
};

/// Text is bytes, UTF-8 or not. Where the tokenizer normalises nothing, decode(encode(text)) == text for any bytes.
/// Safe to call from several threads at once.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// The ids of a text, none added at its ends. Special tokens that the text spells out become their ids where the
  /// tokenizer's format says so. Throws Error that names the byte for what the vocabulary has no token for.
  virtual std::vector<std::int32_t> encode(std::string_view text) const = 0;
  /// The bytes that an id stands for wherever it stands; none where it is a gap in the vocabulary. Throws Error for an
  /// id outside of it.
  virtual std::string_view bytes_of(std::int32_t id) const = 0;
  /// The bytes of a text's ids: those of each, one after another, less what encode() puts before every text.
  virtual std::string decode(std::span<const std::int32_t> ids) const {
    std::string out;
    for (const std::int32_t id : ids) out += bytes_of(id);
    return out;
  }

  /// Ids are below this.
  virtual index_t vocab_size() const = 0;
  /// The ids that a text begins and ends with where it is one of several; -1: there is none.
  virtual std::int32_t begin_of_text() const { return -1; }
  virtual std::int32_t end_of_text() const { return -1; }
  virtual std::vector<SpecialToken> special_tokens() const { return {}; }
};

}  // namespace ashlar::inline v0
