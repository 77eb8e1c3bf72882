// Text, byte by byte: a file, or all plain files of a folder. --training.dataset text. The last part is held out for
// validation. Read next: data/bigram.hpp, the baseline to beat on it.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "ashlar/core/error.hpp"
#include "ashlar/core/platform.hpp"
#include "ashlar/core/random.hpp"
#include "ashlar/data/token_source.hpp"

namespace ashlar::inline v0 {

/// The tokens of a text: its bytes as ids 0 to 255, and id 256 at the end of each file.
class Text {
 public:
  static constexpr std::int32_t end_of_document = 256;
  static constexpr index_t vocab_size = 257;

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

  std::vector<std::int16_t> tokens;
};

/// Rows of a text: windows of seq_len + 1 tokens, side by side, overlapping by one, in an order that is drawn anew for
/// each pass through the text.
class TextRows final : public TokenSource {
 public:
  /// `shuffle` false: rows in the text's order, for validation.
  TextRows(std::shared_ptr<const Text> text, index_t seq_len, std::uint64_t seed, bool shuffle)
      : text_(std::move(text)),
        seq_len_(seq_len),
        seed_(seed),
        shuffle_(shuffle),
        windows_((static_cast<std::int64_t>(text_->tokens.size()) - 1) / seq_len) {
    if (windows_ < 1)
      throw ConfigError(concat("the text has ", text_->tokens.size(),
                               " tokens, fewer than one row of --training.seq_len ", seq_len,
                               " needs; take a longer text or a smaller seq_len"));
  }

  std::int64_t windows() const { return windows_; }
  void read(std::int64_t row, std::span<std::int32_t> tokens) const override {
    const std::int64_t window = shuffle_ ? shuffled(row / windows_, row % windows_) : row % windows_;
    const auto* begin = text_->tokens.data() + window * seq_len_;
    std::copy(begin, begin + static_cast<std::ptrdiff_t>(tokens.size()), tokens.begin());
  }
  std::int32_t end_of_document() const override { return Text::end_of_document; }
  index_t vocab_size() const override { return Text::vocab_size; }

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

  std::shared_ptr<const Text> text_;
  index_t seq_len_;
  std::uint64_t seed_;
  bool shuffle_;
  std::int64_t windows_;
};

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/data/text.ipp"
#endif
