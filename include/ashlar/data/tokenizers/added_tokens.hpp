// AddedTokens: texts that are tokens wherever they stand, as "<|end_of_text|>": found before anything is cut. Read
// next: data/tokenizers/byte_pair_tokenizer.hpp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ashlar/core/platform.hpp"

namespace ashlar::inline v0 {

/// As tokenizer.json describes one.
struct AddedToken {
  std::int32_t id = -1;
  std::string text = {};
  bool single_word = false;  // only where no letter or digit touches it
  bool lstrip = false;       // takes the white space before it along
  bool rstrip = false;       // and after it
  bool normalized = false;   // looked for in text that is normalised, not in the text as it stands
  bool special = false;
};

/// Finds some of a tokenizer's added tokens, the longest that begins at a place first.
class AddedTokens {
 public:
  AddedTokens() = default;
  explicit AddedTokens(std::vector<AddedToken> tokens);

  bool empty() const { return tokens_.empty(); }

  /// Calls piece(id, begin, end) for the pieces of a text in order: tokens, and what lies between them with id -1.
  template <class Piece>
  void split(std::string_view text, Piece&& piece) const {
    std::size_t done = 0;
    for (std::size_t at = 0; !tokens_.empty() && at < text.size();) {
      const Match match = find(text, at);
      if (match.token < 0) break;
      at = match.end;
      const AddedToken& token = tokens_[static_cast<std::size_t>(match.token)];
      const std::size_t begin = std::max(done, token.lstrip ? space_before(text, match.begin) : match.begin);
      if (match.begin < done || (token.single_word && touches_word(text, match.begin, match.end))) continue;
      if (begin > done) piece(-1, done, begin);
      done = token.rstrip ? space_after(text, match.end) : match.end;
      piece(token.id, begin, done);
    }
    if (done < text.size()) piece(-1, done, text.size());
  }

 private:
  struct Match {
    std::int32_t token = -1;
    std::size_t begin = 0, end = 0;
  };
  Match find(std::string_view text, std::size_t from) const;
  static std::size_t space_before(std::string_view text, std::size_t at);
  static std::size_t space_after(std::string_view text, std::size_t at);
  static bool touches_word(std::string_view text, std::size_t begin, std::size_t end);

  std::vector<AddedToken> tokens_;
  // A trie: the node that a byte leads to from a node, and the token that ends at a node, or -1.
  std::unordered_map<std::uint64_t, std::uint32_t> next_;
  std::vector<std::int32_t> ends_ = {-1};
  bool begins_[256] = {};
};

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/data/tokenizers/added_tokens.ipp"
#endif
