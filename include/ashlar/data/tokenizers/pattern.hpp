// Pattern: a regular expression over Unicode text, by PCRE2. Tokenizers say how they cut text in the dialects of two
// other engines; what means the same is translated, and what does not is refused. Read next:
// data/tokenizers/pattern.ipp, the translation; data/tokenizers/pre_tokenizer.hpp.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "ashlar/core/error.hpp"
#include "ashlar/core/platform.hpp"

namespace ashlar::inline v0 {

/// Whose expression it is: tokenizer.json's (Oniguruma, where ^ and $ are of lines) or tiktoken's (Rust's fancy-regex,
/// where they are of the whole text).
enum class PatternDialect { oniguruma, fancy };

class Pattern {
 public:
  /// Throws ConfigError that begins with `origin` for what is no such expression, what this library does not
  /// translate, and what could match nothing at all.
  Pattern(std::string_view expression, PatternDialect dialect, const std::string& origin);

  /// Whether a match may depend on what stands before it.
  bool looks_back() const { return looks_back_; }

  /// Searches on one thread.
  class Matcher {
   public:
    explicit Matcher(const Pattern& pattern);
    struct Span {
      std::size_t begin, end;
    };
    /// The first match in `text`, well-formed UTF-8, at or after `from`; {text.size(), text.size()} where there is
    /// none.
    Span find(std::string_view text, std::size_t from);

   private:
    std::shared_ptr<const void> code_;
    std::shared_ptr<void> data_;
  };

 private:
  std::shared_ptr<const void> code_;  // PCRE2's
  bool looks_back_ = false;
};

namespace detail {
/// The expression as PCRE2 reads it.
std::string pcre2_expression(std::string_view expression, PatternDialect dialect, const std::string& origin,
                             bool& looks_back);
}  // namespace detail

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/data/tokenizers/pattern.ipp"
#endif
