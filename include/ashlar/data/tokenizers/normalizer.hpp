// Normalizer: what a tokenizer does to text before it cuts it: Unicode normal forms, lower case, replaced texts. By
// utf8proc. Read next: data/tokenizers/pre_tokenizer.hpp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ashlar/core/error.hpp"
#include "ashlar/core/platform.hpp"

namespace ashlar::inline v0 {

/// One step of a normalizer. `from` is what replace looks for; `to` is what it or prepend writes.
struct NormalizerStep {
  enum Kind { nfc, nfd, nfkc, nfkd, lowercase, replace, prepend };
  Kind kind = nfc;
  std::string from = {}, to = {};
};

/// Steps, one after another. None: text stays as it is.
class Normalizer {
 public:
  Normalizer() = default;
  explicit Normalizer(std::vector<NormalizerStep> steps) : steps_(std::move(steps)) {}

  bool empty() const { return steps_.empty(); }
  /// The text, well-formed UTF-8, after all steps. On all threads where a step sees no further than a character and the
  /// marks that follow it. `begins`: whether it is a text's beginning, for prepend.
  std::string operator()(std::string_view text, bool begins = true) const;

 private:
  std::vector<NormalizerStep> steps_;
};

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/data/tokenizers/normalizer.ipp"
#endif
