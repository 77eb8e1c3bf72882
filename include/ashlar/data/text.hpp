// Text, byte by byte: a file, or all plain files of a folder. --training.dataset text. The last part is held out for
// validation. And rows of any sequence of tokens. Read next: data/bigram.hpp, the baseline to beat on bytes;
// data/tokenizers/tokenizer.hpp, other tokens.
#pragma once

#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "ashlar/core/error.hpp"
#include "ashlar/core/platform.hpp"
#include "ashlar/core/random.hpp"
#include "ashlar/data/token_sequence.hpp"
#include "ashlar/data/token_source.hpp"

namespace ashlar::inline v0 {

/// The files of a text, in the order of their names: `path` itself, or the plain files of the folder. Throws
/// ConfigError where there is nothing to read.
std::vector<std::filesystem::path> text_files(const std::string& path);

/// Calls document(bytes) for each of those files that is not empty and, of a folder, looks like text.
void for_each_document(const std::string& path, const std::function<void(const std::string&)>& document);

/// The tokens of a text: its bytes as ids 0 to 255, and id 256 at the end of each file.
class Text final : public TokenSequence {
 public:
  static constexpr std::int32_t end_token = 256;
  static constexpr index_t num_tokens = 257;

  /// Reads `path`: a file, or a folder whose files that look like text are read in the order of their names. Throws
  /// ConfigError where there is nothing to read.
  static Text read(const std::string& path);

  /// Splits off the last `fraction` of the tokens.
  Text hold_out(double fraction) {
    const auto keep = static_cast<std::size_t>(static_cast<double>(tokens.size()) * (1 - fraction));
    Text held;
    held.tokens.assign(tokens.begin() + static_cast<std::ptrdiff_t>(keep), tokens.end());
    tokens.resize(keep);
    return held;
  }

  std::size_t size() const override { return tokens.size(); }
  void read(std::size_t begin, std::span<std::int32_t> out) const override {
    const auto* from = tokens.data() + begin;
    std::copy(from, from + out.size(), out.begin());
  }
  std::int32_t end_of_document() const override { return end_token; }
  index_t vocab_size() const override { return num_tokens; }

  std::vector<std::int16_t> tokens;
};

/// Rows of a text: windows of seq_len + 1 tokens, side by side, overlapping by one, in an order that is drawn anew for
/// each pass through the text.
class TextRows final : public TokenSource {
 public:
  /// `shuffle` false: rows in the text's order, for validation.
  TextRows(std::shared_ptr<const TokenSequence> text, index_t seq_len, std::uint64_t seed, bool shuffle)
      : text_(std::move(text)),
        seq_len_(seq_len),
        seed_(seed),
        shuffle_(shuffle),
        windows_((static_cast<std::int64_t>(text_->size()) - 1) / seq_len) {
    if (windows_ < 1)
      throw ConfigError(concat("the text has ", text_->size(), " tokens, fewer than one row of --training.seq_len ",
                               seq_len, " needs; take a longer text or a smaller seq_len"));
  }

  std::int64_t windows() const { return windows_; }
  void read(std::int64_t row, std::span<std::int32_t> tokens) const override {
    const std::int64_t window = shuffle_ ? shuffled(row / windows_, row % windows_) : row % windows_;
    text_->read(static_cast<std::size_t>(window * seq_len_), tokens);
  }
  std::int32_t end_of_document() const override { return text_->end_of_document(); }
  index_t vocab_size() const override { return text_->vocab_size(); }

 private:
  // A permutation of the windows without a table: a Feistel network over the next power of four, walked until it lands
  // inside (cycle walking, Black and Rogaway 2002).
  std::int64_t shuffled(std::int64_t pass, std::int64_t i) const {
    const RandomStream stream(seed_, hash_name("shuffle") + static_cast<std::uint64_t>(pass));
    int half = 1;
    while ((std::int64_t{1} << (2 * half)) < windows_) ++half;
    const std::uint64_t mask = (std::uint64_t{1} << half) - 1;
    auto x = static_cast<std::uint64_t>(i);
    do {
      std::uint64_t left = x >> half, right = x & mask;
      for (std::uint64_t round = 0; round < 6; ++round) {
        const std::uint64_t next = left ^ (stream.bits(round << 32 | right) & mask);
        left = right;
        right = next;
      }
      x = left << half | right;
    } while (static_cast<std::int64_t>(x) >= windows_);
    return static_cast<std::int64_t>(x);
  }

  std::shared_ptr<const TokenSequence> text_;
  index_t seq_len_;
  std::uint64_t seed_;
  bool shuffle_;
  std::int64_t windows_;
};

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/data/text.ipp"
#endif
