// Definitions of bigram.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/data/bigram.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE Bigram::Bigram(const Text& text, double smoothing)
    : smoothing_(smoothing), counts_(static_cast<std::size_t>(n * n)), totals_(static_cast<std::size_t>(n)) {
  for (std::size_t i = 0; i + 1 < text.tokens.size(); ++i) {
    ++counts_[static_cast<std::size_t>(text.tokens[i]) * n + static_cast<std::size_t>(text.tokens[i + 1])];
    ++totals_[static_cast<std::size_t>(text.tokens[i])];
  }
}

ASHLAR_ONCE double Bigram::loss(const Text& text) const {
  double total = 0;
  for (std::size_t i = 0; i + 1 < text.tokens.size(); ++i) {
    const auto a = static_cast<std::size_t>(text.tokens[i]), b = static_cast<std::size_t>(text.tokens[i + 1]);
    total -= std::log((counts_[a * n + b] + smoothing_) / (totals_[a] + smoothing_ * n));
  }
  return text.tokens.size() > 1 ? total / static_cast<double>(text.tokens.size() - 1) : 0;
}

}  // namespace ashlar::inline v0
