// Random tokens: what benchmarks and tests train on. --training.dataset random.
#pragma once

#include "ashlar/core/random.hpp"
#include "ashlar/data/token_source.hpp"

namespace ashlar::inline v0 {

/// Independent uniform ids below vocab_size; row r is a function of (seed, r).
class RandomTokens final : public TokenSource {
 public:
  RandomTokens(std::uint64_t seed, index_t vocab_size) : seed_(seed), vocab_size_(vocab_size) {}

  void read(std::int64_t row, std::span<std::int32_t> tokens) const override {
    const RandomStream stream(seed_, hash_name("tokens") + static_cast<std::uint64_t>(row));
    for (std::size_t i = 0; i < tokens.size(); ++i)
      tokens[i] = static_cast<std::int32_t>(stream.below(i, static_cast<std::uint64_t>(vocab_size_)));
  }
  index_t vocab_size() const override { return vocab_size_; }

 private:
  std::uint64_t seed_;
  index_t vocab_size_;
};

}  // namespace ashlar::inline v0
