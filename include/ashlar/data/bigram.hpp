// A byte bigram model: the baseline that a trained model must beat on held-out text.
#pragma once

#include <cmath>
#include <vector>

#include "ashlar/data/text.hpp"

namespace ashlar::inline v0 {

/// P(next | token) from counts with `smoothing` added to each.
class Bigram {
 public:
  template <class CompiledOnce = void>
  explicit Bigram(const Text& text, double smoothing = 0.1)
      : smoothing_(smoothing), counts_(static_cast<std::size_t>(n * n)), totals_(static_cast<std::size_t>(n)) {
    for (std::size_t i = 0; i + 1 < text.tokens.size(); ++i) {
      ++counts_[static_cast<std::size_t>(text.tokens[i]) * n + static_cast<std::size_t>(text.tokens[i + 1])];
      ++totals_[static_cast<std::size_t>(text.tokens[i])];
    }
  }
  /// The mean of -log P over the text's tokens but the first, in nats a byte.
  template <class CompiledOnce = void>
  double loss(const Text& text) const {
    double total = 0;
    for (std::size_t i = 0; i + 1 < text.tokens.size(); ++i) {
      const auto a = static_cast<std::size_t>(text.tokens[i]), b = static_cast<std::size_t>(text.tokens[i + 1]);
      total -= std::log((counts_[a * n + b] + smoothing_) / (totals_[a] + smoothing_ * n));
    }
    return text.tokens.size() > 1 ? total / static_cast<double>(text.tokens.size() - 1) : 0;
  }

 private:
  static constexpr std::size_t n = Text::vocab_size;
  double smoothing_;
  std::vector<double> counts_, totals_;
};

}  // namespace ashlar::inline v0
