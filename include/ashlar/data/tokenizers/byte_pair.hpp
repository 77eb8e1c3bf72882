// BytePair: a vocabulary of pieces of text, and the pairs of them that merge into longer ones, the first in rank first
// (Sennrich, Haddow and Birch 2016, section 3.2). Read next: data/tokenizers/byte_pair_tokenizer.hpp.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ashlar/core/error.hpp"
#include "ashlar/core/platform.hpp"

namespace ashlar::inline v0 {

/// What merges into what. The lowest rank merges first, and of equal ones the first in the word.
struct BytePairMerge {
  std::int32_t left, right, result, rank;
};

struct BytePairOptions {
  bool byte_level = true;      // words begin as bytes; else as characters
  bool whole_words = false;    // a word that is a token is that token, whatever merges say
  bool byte_fallback = false;  // characters that are no token become the tokens <0x00> to <0xFF> of their bytes
  std::int32_t unknown = -1;   // what else stands for them; -1: they are refused
  bool fuse_unknown = false;   // one for several of them in a row
};

class BytePair {
 public:
  BytePair() = default;
  /// `tokens`: text by id; empty where an id is none. Of ids in `merges` all are below tokens.size().
  BytePair(std::vector<std::string> tokens, const std::vector<BytePairMerge>& merges, BytePairOptions options);
  BytePair(BytePair&&) = default;
  BytePair& operator=(BytePair&&) = default;

  /// What one thread keeps from word to word: room for a merge, and the ids of short words that it has met, the last
  /// one at each place of a table.
  class Worker {
   public:
    Worker() : known_(std::size_t{1} << 15) {}

   private:
    friend BytePair;
    struct alignas(64) Known {
      std::uint8_t length = 0, count = 0;
      char word[30] = {};
      std::int32_t ids[8] = {};
    };
    struct Symbol {
      std::int32_t id, before, after;  // neighbours by place, or -1; an id of -1 has merged into its neighbour
    };
    struct Candidate {
      std::int32_t rank, place, result;
      bool operator<(const Candidate& o) const { return rank != o.rank ? rank > o.rank : place > o.place; }
    };
    std::vector<Known> known_;
    std::vector<Symbol> symbols_;
    std::vector<Candidate> heap_;
  };

  /// Appends the ids of a word. O(n log n) in its length. Throws Error that names the bytes that have no token.
  void encode(std::string_view word, std::vector<std::int32_t>& ids, Worker& worker) const;

 private:
  struct Pair {
    std::uint64_t key = ~std::uint64_t{0};
    std::int32_t rank = -1, result = -1;
  };
  static std::uint64_t key_of(std::int32_t left, std::int32_t right) {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 | static_cast<std::uint32_t>(right);
  }
  static std::uint64_t mixed(std::uint64_t x) {
    x *= 0x9E3779B97F4A7C15u;
    return x ^ x >> 32;
  }
  Pair& slot(std::uint64_t key) {
    std::size_t i = mixed(key) & (pairs_.size() - 1);
    while (pairs_[i].key != key && pairs_[i].rank >= 0) i = (i + 1) & (pairs_.size() - 1);
    return pairs_[i];
  }
  const Pair& find(std::int32_t left, std::int32_t right) const {
    return const_cast<BytePair*>(this)->slot(key_of(left, right));
  }

  void encode_anew(std::string_view word, std::vector<std::int32_t>& ids, Worker& worker) const;
  void begin(std::string_view word, Worker& worker) const;
  void merge(Worker& worker) const;

  std::vector<std::string> tokens_;
  std::unordered_map<std::string_view, std::int32_t> ids_;
  std::array<std::int32_t, 256> bytes_{};  // the tokens of bytes: themselves, or what a fallback says; -1: none
  std::vector<Pair> pairs_;                // open addressing; a rank of -1 is free
  BytePairOptions options_;
};

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/data/tokenizers/byte_pair.ipp"
#endif
