// UTF-8: where characters begin and end, and which bytes are none. (The Unicode Standard 15.0, table 3-7.)
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace ashlar::inline v0 {

/// How many bytes the character at text[at] has, 1 to 4; 0 where no well-formed character begins there.
inline std::size_t utf8_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) -> unsigned {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0u;
  };
  const auto follows = [&](std::size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const unsigned first = byte(0), second = byte(1);
  if (first < 0x80) return at < text.size();
  if (first < 0xC2 || first > 0xF4 || !follows(1)) return 0;
  if (first < 0xE0) return 2;
  if (!follows(2)) return 0;
  if (first == 0xE0 && second < 0xA0) return 0;  // too long a form
  if (first == 0xED && second > 0x9F) return 0;  // a surrogate
  if (first < 0xF0) return 3;
  if (!follows(3)) return 0;
  if (first == 0xF0 && second < 0x90) return 0;
  if (first == 0xF4 && second > 0x8F) return 0;  // above U+10FFFF
  return 4;
}

/// Where the run of ASCII that begins at `at` ends.
inline std::size_t ascii_until(std::string_view text, std::size_t at) {
  for (; at + 8 <= text.size(); at += 8) {
    std::uint64_t word;
    std::memcpy(&word, text.data() + at, 8);
    if (word & 0x8080808080808080u) break;
  }
  while (at < text.size() && static_cast<unsigned char>(text[at]) < 0x80) ++at;
  return at;
}

/// Where the run of well-formed characters that begins at `at` ends.
inline std::size_t utf8_until(std::string_view text, std::size_t at) {
  while ((at = ascii_until(text, at)) < text.size()) {
    const std::size_t n = utf8_length(text, at);
    if (n == 0) break;
    at += n;
  }
  return at;
}

/// The code point of a well-formed character of n bytes.
inline char32_t utf8_code_point(std::string_view text, std::size_t at, std::size_t n) {
  constexpr unsigned mask[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
  char32_t out = static_cast<unsigned char>(text[at]) & mask[n];
  for (std::size_t i = 1; i < n; ++i) out = out << 6 | (static_cast<unsigned char>(text[at + i]) & 0x3F);
  return out;
}

inline void append_utf8(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
    return;
  }
  const int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  constexpr unsigned first[] = {0, 0xC0, 0xE0, 0xF0};
  out += static_cast<char>(first[more] | c >> (6 * more));
  for (int i = more - 1; i >= 0; --i) out += static_cast<char>(0x80 | (c >> (6 * i) & 0x3F));
}

}  // namespace ashlar::inline v0
