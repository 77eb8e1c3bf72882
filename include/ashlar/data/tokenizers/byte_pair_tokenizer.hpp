// BytePairTokenizer: added tokens, normalizer, pre-tokenizer and byte pairs, one after another, on all cores. What
// tokenizer.json and tiktoken's files describe. Read next: data/tokenizers/byte_pair_tokenizer.ipp;
// data/tokenizers/hugging_face.hpp, data/tokenizers/tiktoken.hpp.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>

#include "ashlar/core/platform.hpp"
#include "ashlar/data/tokenizers/added_tokens.hpp"
#include "ashlar/data/tokenizers/byte_pair.hpp"
#include "ashlar/data/tokenizers/normalizer.hpp"
#include "ashlar/data/tokenizers/pre_tokenizer.hpp"
#include "ashlar/data/tokenizers/tokenizer.hpp"

namespace ashlar::inline v0 {

/// What makes one.
struct BytePairParts {
  std::vector<std::string> pieces;  // the bytes of each id; ids that are no token have none
  std::vector<AddedToken> added;
  Normalizer normalizer;
  std::vector<PreTokenizerStage> stages;
  bool prefix_space = false;  // a text that does not begin with a space gets one
  BytePair model;
  std::string stripped;  // what decode() takes from the beginning of a text
  std::int32_t begin_of_text = -1, end_of_text = -1;
};

class BytePairTokenizer final : public Tokenizer {
 public:
  /// Texts longer than `part_bytes` are cut into parts for threads; ids do not depend on it.
  explicit BytePairTokenizer(BytePairParts parts, std::size_t part_bytes = std::size_t{1} << 16);

  ASHLAR_ONCE std::vector<std::int32_t> encode(std::string_view text) const override;
  ASHLAR_ONCE std::string_view bytes_of(std::int32_t id) const override;
  ASHLAR_ONCE std::string decode(std::span<const std::int32_t> ids) const override;
  index_t vocab_size() const override { return static_cast<index_t>(parts_.pieces.size()); }
  std::int32_t begin_of_text() const override { return parts_.begin_of_text; }
  std::int32_t end_of_text() const override { return parts_.end_of_text; }
  ASHLAR_ONCE std::vector<SpecialToken> special_tokens() const override;

 private:
  /// A piece of the text: a token, or text to cut and merge, or bytes that are no UTF-8.
  struct Run {
    std::int32_t id = -1;
    std::string_view text = {};
    bool is_utf8 = true;
  };
  struct Part;
  struct Worker {
    PreTokenizer pre_tokenizer;
    BytePair::Worker byte_pair = {};
  };

  std::vector<Run> runs_of(std::string_view text, std::deque<std::string>& made) const;
  std::vector<Part> parts_of(const std::vector<Run>& runs) const;
  template <class Stop>
  std::size_t encode_words(std::string_view text, std::size_t begin, std::vector<std::int32_t>& ids, Worker& worker,
                           Stop&& stop) const;
  void encode_part(const std::vector<Run>& runs, Part& part, Worker& worker) const;
  std::vector<std::int32_t> joined(const std::vector<Run>& runs, std::vector<Part>& parts) const;
  std::unique_ptr<Worker> take_worker() const;
  void give_worker(std::unique_ptr<Worker> worker) const;

  BytePairParts parts_;
  AddedTokens raw_, normalized_;
  std::size_t part_bytes_;
  bool one_piece_ = false;  // no text may be cut into parts
  // Between calls, so that what threads know of words is kept.
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Worker>> idle_;
};

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/data/tokenizers/byte_pair_tokenizer.ipp"
#endif
