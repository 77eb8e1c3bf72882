// Definitions of normalizer.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "ashlar/data/tokenizers/normalizer.hpp"
#include "ashlar/data/tokenizers/utf8.hpp"

#if ASHLAR_WITH_TOKENIZERS
#include <utf8proc.h>
#endif

namespace ashlar::inline v0 {

namespace detail {

/// Whether a text of such characters alone is in form C: they compose with nothing before them, and stay as they are.
/// Not all such characters, but the common ones of most scripts. (DerivedNormalizationProps.txt: NFC_QC is Yes, ccc is
/// 0.)
inline bool stays_in_form_c(char32_t c) {
  struct Range {
    char32_t first, last;
  };
  constexpr Range ranges[] = {{0x0000, 0x02FF}, {0x0391, 0x0482}, {0x05D0, 0x05EA}, {0x0620, 0x064A},
                              {0x2010, 0x2027}, {0x3001, 0x3020}, {0x3041, 0x3096}, {0x30A1, 0x30FA},
                              {0x3400, 0x9FFF}, {0xAC00, 0xD7A3}, {0xFF01, 0xFFEE}};
  for (const Range& r : ranges)
    if (c >= r.first && c <= r.last) return true;
  return false;
}

inline bool is_form_c(std::string_view text) {
  for (std::size_t at = ascii_until(text, 0); at < text.size(); at = ascii_until(text, at)) {
    const std::size_t n = utf8_length(text, at);
    if (!stays_in_form_c(utf8_code_point(text, at, n))) return false;
    at += n;
  }
  return true;
}

inline std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  for (std::size_t at = 0;;) {
    const std::size_t next = from.empty() ? text.npos : text.find(from, at);
    out += text.substr(at, next - at);
    if (next == text.npos) return out;
    out += to;
    at = next + from.size();
  }
}

#if ASHLAR_WITH_TOKENIZERS
inline std::string mapped(std::string_view text, int options) {
  utf8proc_uint8_t* out = nullptr;
  const auto n =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                   &out, static_cast<utf8proc_option_t>(options | UTF8PROC_STABLE));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(out, &std::free);
  if (n < 0)
    fail(concat("a text of ", text.size(), " bytes can't be normalised: ", std::string_view(utf8proc_errmsg(n))));
  return {reinterpret_cast<const char*>(out), static_cast<std::size_t>(n)};
}
inline std::string lowered(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t n = utf8_length(text, at);
    const char32_t c = utf8_code_point(text, at, n);
    append_utf8(out, c == 0x130 ? U'i' : static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
    if (c == 0x130) append_utf8(out, 0x307);  // the one character whose lower case is two
    at += n;
  }
  return out;
}
#else  // nothing makes a Normalizer: see pattern.ipp
inline std::string mapped(std::string_view text, int) {
  return std::string(text);
}
inline std::string lowered(std::string_view text) {
  return std::string(text);
}
enum { UTF8PROC_COMPOSE, UTF8PROC_DECOMPOSE, UTF8PROC_COMPAT };
#endif

inline std::string normalized(std::string_view text, const NormalizerStep& step) {
  switch (step.kind) {
    case NormalizerStep::nfc: return is_form_c(text) ? std::string(text) : mapped(text, UTF8PROC_COMPOSE);
    case NormalizerStep::nfd: return mapped(text, UTF8PROC_DECOMPOSE);
    case NormalizerStep::nfkc: return mapped(text, UTF8PROC_COMPOSE | UTF8PROC_COMPAT);
    case NormalizerStep::nfkd: return mapped(text, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT);
    case NormalizerStep::lowercase: return lowered(text);
    case NormalizerStep::replace: return replaced(text, step.from, step.to);
    case NormalizerStep::prepend: return text.empty() ? std::string() : step.to + std::string(text);
  }
  return std::string(text);
}

}  // namespace detail

ASHLAR_ONCE std::string Normalizer::operator()(std::string_view text, bool begins) const {
  // Cut before ASCII, which composes with nothing before it.
  constexpr std::size_t block = std::size_t{1} << 16;
  const bool local = std::all_of(steps_.begin(), steps_.end(),
                                 [](const NormalizerStep& s) { return s.kind <= NormalizerStep::lowercase; });
  std::vector<std::string_view> blocks;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = local ? std::min(text.size(), at + block) : text.size();
    while (end < text.size() && static_cast<unsigned char>(text[end]) >= 0x80) ++end;
    blocks.push_back(text.substr(at, end - at));
    at = end;
  }
  std::vector<std::string> made(blocks.size());
  std::string error;
  ASHLAR_OMP(parallel for schedule(dynamic) if (blocks.size() > 1))
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    try {
      made[i] = blocks[i];
      for (const NormalizerStep& step : steps_)
        if (begins || step.kind != NormalizerStep::prepend) made[i] = detail::normalized(made[i], step);
    } catch (const std::exception& e) {
      ASHLAR_OMP(critical)
      error = e.what();
    }
  }
  if (!error.empty()) fail(error);
  std::string out;
  for (const std::string& m : made) out += m;
  return out;
}

}  // namespace ashlar::inline v0
