// PreTokenizer: where text is cut into words, within which alone byte pairs merge. Stages, one within the pieces of
// another: a stage searches a piece for its pattern, and its matches and what lies between them are the pieces of the
// next. Read next: data/tokenizers/byte_pair_tokenizer.ipp, how a long text is cut on all cores.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "ashlar/data/tokenizers/pattern.hpp"

namespace ashlar::inline v0 {

/// One stage. What it drops is no piece of text any more.
struct PreTokenizerStage {
  enum Drops { nothing, matches, gaps };
  Pattern pattern;
  Drops drops = nothing;
};

/// Cuts text on one thread.
///
/// A place where text is cut is *clean* if it lies strictly inside no match of any stage. From a clean place on every
/// stage goes on as a search from there, and a leftmost search that has found nothing up to a place finds from there
/// what it would have found from further back. So two cuts of one text that were begun at different places, and have a
/// clean place in common, are alike from there on, unless patterns look back.
class PreTokenizer {
 public:
  explicit PreTokenizer(const std::vector<PreTokenizerStage>& stages) {
    for (const PreTokenizerStage& stage : stages) stages_.push_back({Pattern::Matcher(stage.pattern), stage.drops});
  }

  /// Calls word(begin, end, clean) for the words of text[begin, end), which end is clean to say of `end`, until it
  /// returns false.
  template <class Word>
  void cut(std::string_view text, std::size_t begin, std::size_t end, Word&& word) {
    cut(0, text, begin, end, true, true, word);
  }

 private:
  struct Stage {
    Pattern::Matcher matcher;
    PreTokenizerStage::Drops drops;
  };

  // `end_clean`: whether `end` is clean; `inner_clean`: whether places between begin and end can be.
  template <class Word>
  bool cut(std::size_t depth, std::string_view text, std::size_t begin, std::size_t end, bool end_clean,
           bool inner_clean, Word& word) {
    if (depth == stages_.size()) return word(begin, end, end_clean);
    Stage& stage = stages_[depth];
    const std::string_view piece = text.substr(begin, end - begin);
    for (std::size_t at = 0; at < piece.size();) {
      const auto match = stage.matcher.find(piece, at);
      if (match.begin > at && stage.drops != PreTokenizerStage::gaps &&
          !cut(depth + 1, text, begin + at, begin + match.begin, match.begin == piece.size() ? end_clean : inner_clean,
               inner_clean, word))
        return false;
      if (match.end > match.begin && stage.drops != PreTokenizerStage::matches &&
          !cut(depth + 1, text, begin + match.begin, begin + match.end,
               match.end == piece.size() ? end_clean : inner_clean, false, word))
        return false;
      at = match.end;
    }
    return true;
  }

  std::vector<Stage> stages_;
};

}  // namespace ashlar::inline v0
