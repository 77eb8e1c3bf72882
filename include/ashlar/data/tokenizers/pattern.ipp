// Definitions of pattern.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/data/tokenizers/pattern.hpp"

#if ASHLAR_WITH_TOKENIZERS
#include <pcre2.h>
#endif

namespace ashlar::inline v0 {

namespace detail {

/// Reads an expression once, from left to right.
class PatternTranslation {
 public:
  PatternTranslation(std::string_view in, PatternDialect dialect, const std::string& origin)
      : in_(in), dialect_(dialect), origin_(origin) {}

  std::string run() {
    while (at_ < in_.size()) {
      const char c = in_[at_];
      if (c == '\\')
        escape();
      else if (in_set_)
        set_member();
      else if (c == '[')
        open_set();
      else if (c == '(')
        group();
      else if (c == '{')
        count();
      else
        looks_back |= c == '^', copy(1);
    }
    return std::move(out_);
  }
  bool looks_back = false;

 private:
  [[noreturn]] void refuse(std::size_t length) const {
    throw ConfigError(concat(origin_, ": the regular expression has \"", in_.substr(at_, length), "\" at byte ", at_,
                             ", which this library does not translate; it is ", in_.substr(0, 300)));
  }
  void copy(std::size_t n) { out_ += in_.substr(at_, n), at_ += std::min(n, in_.size() - at_); }
  void put(std::size_t n, std::string_view text) { out_ += text, at_ += n; }
  bool ahead(std::string_view text) const { return in_.substr(at_).starts_with(text); }

  void open_set() {
    in_set_ = true;
    copy(ahead("[^") ? 2 : 1);
    if (ahead("]")) put(1, "\\]");
  }
  void set_member() {
    // Sets of sets, and their operators.
    if (ahead("[") || ahead("&&") || ahead("~~") || ahead("--")) refuse(2);
    in_set_ = !ahead("]");
    copy(1);
  }
  void group() {
    if (ahead("(*")) refuse(2);
    if (!ahead("(?")) return copy(1);
    for (const std::string_view known : {"(?:", "(?=", "(?!", "(?>", "(?i:", "(?i)", "(?<=", "(?<!"})
      if (ahead(known)) {
        looks_back |= known[2] == '<';
        return copy(known.size());
      }
    refuse(4);
  }
  /// {n,m}. Oniguruma's {n,m}+ repeats; everyone else's is possessive.
  void count() {
    const std::size_t end = in_.find('}', at_);
    if (end == in_.npos || end == at_ + 1 || in_.substr(at_, end - at_).find_first_not_of("{,0123456789") != in_.npos)
      refuse(3);
    if (dialect_ == PatternDialect::oniguruma && in_.substr(end + 1).starts_with("+")) refuse(end + 2 - at_);
    if (ahead("{,")) return put(2, "{0,");
    copy(end + 1 - at_);
  }
  void escape() {
    if (at_ + 1 == in_.size()) refuse(1);
    const char c = in_[at_ + 1];
    constexpr std::string_view word = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
    switch (c) {
      // PCRE2's own \s has U+180E, and its \w lacks marks.
      case 's': return put(2, "\\p{White_Space}");
      case 'S': return put(2, "\\P{White_Space}");
      case 'd': return put(2, "\\p{Nd}");
      case 'D': return put(2, "\\P{Nd}");
      case 'w': return put(2, in_set_ ? std::string(word) : concat("[", word, "]"));
      case 'W':
        if (in_set_) refuse(2);
        return put(2, concat("[^", word, "]"));
      case 'r':
      case 'n':
      case 't':
      case 'f': return copy(2);
      case 'v': return put(2, "\\x0b");
      case 'A':
      case 'z':
        if (in_set_) refuse(2);
        looks_back |= c == 'A';
        return copy(2);
      case 'p':
      case 'P': return property();
      case 'u': return code_point(4, at_ + 2, at_ + 6);
      case 'x': {
        if (!ahead("\\x{")) return code_point(2, at_ + 2, at_ + 4);
        const std::size_t end = std::min(in_.find('}', at_), in_.size());
        code_point(end - at_ - 3, at_ + 3, end);
        if (at_++ >= in_.size()) refuse(1);
        return;
      }
      default:
        // Oniguruma and PCRE2 disagree on what else letters and digits mean.
        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) refuse(2);
        return copy(2);
    }
  }
  void code_point(std::size_t digits, std::size_t begin, std::size_t end) {
    const std::string_view hex = in_.substr(std::min(begin, in_.size()), digits);
    // Oniguruma takes \x80 for a byte of UTF-8.
    if (hex.size() != digits || digits == 0 || digits > 6 ||
        hex.find_first_not_of("0123456789abcdefABCDEF") != hex.npos ||
        (digits == 2 && begin == at_ + 2 && hex[0] > '7'))
      refuse(digits + 2);
    put(end - at_, concat("\\x{", hex, "}"));
  }
  /// General categories. PCRE2 takes a script's bare name for its extensions.
  void property() {
    const std::size_t end = in_.find('}', at_);
    if (!ahead("\\p{") && !ahead("\\P{")) refuse(3);
    if (end == in_.npos) refuse(3);
    std::string_view name = in_.substr(at_ + 3, end - at_ - 3);
    if (name == "Han") return put(end + 1 - at_, concat(in_.substr(at_, 3), "sc:Han}"));
    if (name.starts_with('^')) name.remove_prefix(1);
    constexpr std::string_view classes = "CLMNPSZ";
    if (name.empty() || name.size() > 2 || classes.find(name[0]) == classes.npos) refuse(end + 1 - at_);
    copy(end + 1 - at_);
  }

  std::string_view in_;
  PatternDialect dialect_;
  const std::string& origin_;
  std::string out_;
  std::size_t at_ = 0;
  bool in_set_ = false;
};

}  // namespace detail

ASHLAR_ONCE std::string detail::pcre2_expression(std::string_view expression, PatternDialect dialect,
                                                 const std::string& origin, bool& looks_back) {
  PatternTranslation translation(expression, dialect, origin);
  std::string out = translation.run();
  looks_back = translation.looks_back;
  return out;
}

#if ASHLAR_WITH_TOKENIZERS

ASHLAR_ONCE Pattern::Pattern(std::string_view expression, PatternDialect dialect, const std::string& origin) {
  const std::string text = detail::pcre2_expression(expression, dialect, origin, looks_back_);
  const std::unique_ptr<pcre2_compile_context, decltype(&pcre2_compile_context_free)> context(
      pcre2_compile_context_create(nullptr), &pcre2_compile_context_free);
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  const std::uint32_t lines = dialect == PatternDialect::oniguruma ? PCRE2_MULTILINE : PCRE2_DOLLAR_ENDONLY;
  int error = 0;
  PCRE2_SIZE place = 0;
  const std::shared_ptr<pcre2_code> code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                                                       PCRE2_UTF | PCRE2_UCP | lines, &error, &place, context.get()),
                                         &pcre2_code_free);
  std::uint32_t matches_nothing = 0;
  if (!code) {
    char message[200] = {};
    pcre2_get_error_message(error, reinterpret_cast<PCRE2_UCHAR*>(message), sizeof message);
    throw ConfigError(concat(origin, ": the regular expression ", text.substr(0, 300), " is wrong at byte ", place,
                             ": ", std::string_view(message)));
  }
  pcre2_pattern_info(code.get(), PCRE2_INFO_MATCHEMPTY, &matches_nothing);
  if (matches_nothing)
    throw ConfigError(concat(origin, ": the regular expression ", text.substr(0, 300),
                             " can match nothing at all; it has to match text"));
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);  // where the processor has no JIT, matching interprets
  code_ = code;
}

ASHLAR_ONCE Pattern::Matcher::Matcher(const Pattern& pattern)
    : code_(pattern.code_), data_(pcre2_match_data_create(1, nullptr), [](void* p) {
        pcre2_match_data_free(static_cast<pcre2_match_data*>(p));
      }) {}

ASHLAR_ONCE Pattern::Matcher::Span Pattern::Matcher::find(std::string_view text, std::size_t from) {
  auto* data = static_cast<pcre2_match_data*>(data_.get());
  const auto match = [&](std::uint32_t options) {
    return pcre2_match(static_cast<const pcre2_code*>(code_.get()), reinterpret_cast<PCRE2_SPTR>(text.data()),
                       text.size(), from, PCRE2_NO_UTF_CHECK | options, data, nullptr);
  };
  int found = match(0);
  if (found == PCRE2_ERROR_JIT_STACKLIMIT) found = match(PCRE2_NO_JIT);  // the interpreter's stack is on the heap
  if (found == PCRE2_ERROR_NOMATCH) return {text.size(), text.size()};
  if (found < 0) {
    char message[200] = {};
    pcre2_get_error_message(found, reinterpret_cast<PCRE2_UCHAR*>(message), sizeof message);
    fail(concat("the tokenizer's regular expression gave up on a text of ", text.size(), " bytes, at byte ", from, ": ",
                std::string_view(message)));
  }
  const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(data);
  return {ends[0], ends[1]};
}

#else

ASHLAR_ONCE Pattern::Pattern(std::string_view, PatternDialect, const std::string& origin) {
  throw ConfigError(
      concat(origin,
             ": this build reads no tokenizers; install PCRE2 and utf8proc (libpcre2-dev, libutf8proc-dev) "
             "and build again with ASHLAR_TOKENIZERS=ON"));
}
ASHLAR_ONCE Pattern::Matcher::Matcher(const Pattern&) {}
ASHLAR_ONCE Pattern::Matcher::Span Pattern::Matcher::find(std::string_view text, std::size_t) {
  return {text.size(), text.size()};
}

#endif

}  // namespace ashlar::inline v0
