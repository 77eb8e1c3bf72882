// Definitions of added_tokens.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include <algorithm>

#include "ashlar/data/tokenizers/added_tokens.hpp"
#include "ashlar/data/tokenizers/utf8.hpp"

#if ASHLAR_WITH_TOKENIZERS
#include <utf8proc.h>
#endif

namespace ashlar::inline v0 {

ASHLAR_ONCE AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  for (std::size_t t = 0; t < tokens_.size(); ++t) {
    if (tokens_[t].text.empty()) continue;
    std::uint32_t node = 0;
    for (const char c : tokens_[t].text) {
      const auto [at, added] = next_.try_emplace(std::uint64_t{node} << 8 | static_cast<unsigned char>(c),
                                                 static_cast<std::uint32_t>(ends_.size()));
      if (added) ends_.push_back(-1);
      node = at->second;
    }
    ends_[node] = static_cast<std::int32_t>(t);
    begins_[static_cast<unsigned char>(tokens_[t].text[0])] = true;
  }
}

ASHLAR_ONCE AddedTokens::Match AddedTokens::find(std::string_view text, std::size_t from) const {
  for (std::size_t begin = from; begin < text.size(); ++begin) {
    if (!begins_[static_cast<unsigned char>(text[begin])]) continue;
    Match longest;
    std::uint32_t node = 0;
    for (std::size_t i = begin; i < text.size(); ++i) {
      const auto next = next_.find(std::uint64_t{node} << 8 | static_cast<unsigned char>(text[i]));
      if (next == next_.end()) break;
      node = next->second;
      if (ends_[node] >= 0) longest = {ends_[node], begin, i + 1};
    }
    if (longest.token >= 0) return longest;
  }
  return {};
}

namespace detail {

/// The character that ends at `at`, and how long it is; {0, 0} where none does.
inline std::pair<char32_t, std::size_t> character_before(std::string_view text, std::size_t at) {
  for (std::size_t n = 1; n <= std::min<std::size_t>(4, at); ++n)
    if (utf8_length(text, at - n) == n) return {utf8_code_point(text, at - n, n), n};
  return {0, 0};
}
inline std::pair<char32_t, std::size_t> character_at(std::string_view text, std::size_t at) {
  const std::size_t n = utf8_length(text, at);
  return {n ? utf8_code_point(text, at, n) : 0, n};
}
inline bool is_white_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}
inline bool is_word_character([[maybe_unused]] char32_t c) {
#if ASHLAR_WITH_TOKENIZERS
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC: return true;
    default: break;
  }
#endif
  return false;
}

}  // namespace detail

ASHLAR_ONCE std::size_t AddedTokens::space_before(std::string_view text, std::size_t at) {
  for (;;) {
    const auto [c, n] = detail::character_before(text, at);
    if (n == 0 || !detail::is_white_space(c)) return at;
    at -= n;
  }
}
ASHLAR_ONCE std::size_t AddedTokens::space_after(std::string_view text, std::size_t at) {
  for (;;) {
    const auto [c, n] = detail::character_at(text, at);
    if (n == 0 || !detail::is_white_space(c)) return at;
    at += n;
  }
}
ASHLAR_ONCE bool AddedTokens::touches_word(std::string_view text, std::size_t begin, std::size_t end) {
  return detail::is_word_character(detail::character_before(text, begin).first) ||
         detail::is_word_character(detail::character_at(text, end).first);
}

}  // namespace ashlar::inline v0
