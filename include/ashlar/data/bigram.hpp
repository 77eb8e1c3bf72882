// A byte bigram model: the baseline that a trained model must beat on held-out text.
#pragma once

#include <cmath>
#include <vector>

#include "ashlar/core/platform.hpp"
#include "ashlar/data/text.hpp"

namespace ashlar::inline v0 {

/// P(next | token) from counts with `smoothing` added to each.
class Bigram {
 public:
  explicit Bigram(const Text& text, double smoothing = 0.1);
  /// The mean of -log P over the text's tokens but the first, in nats a byte.
  double loss(const Text& text) const;

 private:
  static constexpr std::size_t n = Text::num_tokens;
  double smoothing_;
  std::vector<double> counts_, totals_;
};

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/data/bigram.ipp"
#endif
