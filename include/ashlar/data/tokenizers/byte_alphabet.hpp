// The byte-level alphabet of GPT-2: a printable character for each byte, so that vocabularies are text. Bytes that
// print stand for themselves; the others are U+0100 and up, in order.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "ashlar/data/tokenizers/utf8.hpp"

namespace ashlar::inline v0 {

/// The byte of each of the characters U+0000 to U+0143; -1: none.
inline constexpr std::array<int, 0x144> byte_of_alphabet = [] {
  std::array<int, 0x144> out{};
  out.fill(-1);
  std::size_t next = 0x100;
  for (int b = 0; b < 256; ++b) {
    const bool prints = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b != 0xAD);
    out[prints ? static_cast<std::size_t>(b) : next++] = b;
  }
  return out;
}();

/// The bytes that a text of that alphabet, UTF-8, stands for; nothing where it has other characters.
inline std::optional<std::string> bytes_of_alphabet(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t n = utf8_length(text, at);
    const char32_t c = n ? utf8_code_point(text, at, n) : char32_t{0x144};
    if (c >= byte_of_alphabet.size() || byte_of_alphabet[c] < 0) return std::nullopt;
    out += static_cast<char>(byte_of_alphabet[c]);
    at += n;
  }
  return out;
}

}  // namespace ashlar::inline v0
