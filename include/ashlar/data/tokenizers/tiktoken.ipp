// Definitions of tiktoken.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include <algorithm>
#include <charconv>
#include <optional>
#include <unordered_map>

#include "ashlar/data/tokenizers/tiktoken.hpp"

namespace ashlar::inline v0 {

namespace detail {

/// A rank file that people have, told by how many ranks it has: how it cuts text, and the special tokens that follow.
struct KnownRanks {
  std::size_t ranks;
  std::string_view name, expression;
  struct Special {
    std::int32_t id;
    std::string_view text;
  };
  Special begin, end;
  std::size_t vocab_size;
};

inline constexpr std::string_view cased_words =
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|"
    "'d)?|"
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|"
    "'d)?|"
    "\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

inline constexpr KnownRanks known_ranks[] = {
    {50256,
     "gpt2",
     "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
     {-1, ""},
     {50256, "<|endoftext|>"},
     50257},
    {100256,
     "cl100k_base",
     "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++|\\p{N}{1,3}+| "
     "?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+|\\s++$|\\s*[\\r\\n]|"
     "\\s+(?!\\S)|\\s",
     {-1, ""},
     {100257, "<|endoftext|>"},
     100277},
    {128000,
     "Llama 3",
     "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| "
     "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"
     "\\s+(?!\\S)|\\s+",
     {128000, "<|begin_of_text|>"},
     {128001, "<|end_of_text|>"},
     128256},
    {151643,
     "Qwen",
     "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"
     "\\s+(?!\\S)|\\s+",
     {-1, ""},
     {151643, "<|endoftext|>"},
     151936},
    {199998, "o200k_base", cased_words, {-1, ""}, {199999, "<|endoftext|>"}, 200019},
    {200000, "Llama 4", cased_words, {200000, "<|begin_of_text|>"}, {200001, "<|end_of_text|>"}, 202048},
};

/// Strict base64 (RFC 4648, section 4).
inline std::optional<std::string> from_base64(std::string_view text) {
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (text.size() % 4 != 0) return std::nullopt;
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 4) {
    const bool is_last = i + 4 == text.size();
    const std::size_t padding = !is_last || text[i + 3] != '=' ? 0 : text[i + 2] != '=' ? 1 : 2;
    std::uint32_t bits = 0;
    for (std::size_t j = 0; j < 4; ++j) {
      const std::size_t digit = j >= 4 - padding ? 0 : alphabet.find(text[i + j]);
      if (digit == alphabet.npos) return std::nullopt;
      bits = bits << 6 | static_cast<std::uint32_t>(digit);
    }
    if (bits & ((1u << 8 * padding) - 1)) return std::nullopt;
    for (std::size_t j = 0; j < 3 - padding; ++j) out += static_cast<char>(bits >> (16 - 8 * j) & 0xFF);
  }
  return out;
}

}  // namespace detail

ASHLAR_ONCE BytePairParts read_tiktoken(std::string_view text, std::string_view expression, const std::string& origin) {
  constexpr std::size_t longest_token = 1024;
  const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
  BytePairParts parts;
  std::unordered_map<std::string, std::int32_t> ranks;
  std::size_t line_number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    at = end + 1;
    ++line_number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    const auto wrong = [&](std::string_view what) {
      throw ConfigError(concat(origin, ", line ", line_number, ": ", what,
                               "; a tiktoken file has a token in base64 and its rank in each line"));
    };
    const std::size_t space = std::min(line.find(' '), line.size());
    const auto token = detail::from_base64(line.substr(0, space));
    if (!token || token->empty()) wrong("no token in base64");
    if (token->size() > longest_token) wrong(concat("a token of ", token->size(), " bytes"));
    std::size_t rank = 0;
    const std::string_view digits = line.substr(std::min(space + 1, line.size()));
    const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), rank);
    if (error != std::errc() || stop != digits.data() + digits.size() || rank > 2 * lines + 4096)
      wrong(concat("expected a rank of 0 to ", 2 * lines + 4096, " after the token"));
    if (rank >= parts.pieces.size()) parts.pieces.resize(rank + 1);
    if (!parts.pieces[rank].empty()) wrong(concat("rank ", rank, " stands twice"));
    if (!ranks.emplace(*token, static_cast<std::int32_t>(rank)).second) wrong("the token stands twice");
    parts.pieces[rank] = *token;
  }
  if (ranks.empty()) throw ConfigError(concat(origin, ": has no tokens"));

  // Two neighbours merge where together they are a token; its rank says when. A token has at most one merge a place
  // where it can be cut in two.
  std::vector<BytePairMerge> merges;
  for (const auto& [token, rank] : ranks)
    for (std::size_t cut = 1; cut < token.size(); ++cut) {
      const auto left = ranks.find(token.substr(0, cut));
      if (left == ranks.end()) continue;
      if (const auto right = ranks.find(token.substr(cut)); right != ranks.end())
        merges.push_back({left->second, right->second, rank, rank});
    }
  parts.model = BytePair(parts.pieces, merges, {.byte_level = true, .whole_words = true});

  const auto known = std::find_if(std::begin(detail::known_ranks), std::end(detail::known_ranks),
                                  [&](const detail::KnownRanks& k) { return k.ranks == ranks.size(); });
  if (expression.empty()) {
    if (known == std::end(detail::known_ranks))
      throw ConfigError(concat(origin, ": how the tokenizer of these ", ranks.size(), " ranks cuts text is not known; ",
                               "write its regular expression into ", origin, ".pattern"));
    expression = known->expression;
    for (const detail::KnownRanks::Special& s : {known->begin, known->end}) {
      if (s.id < 0) continue;
      parts.pieces.resize(known->vocab_size);
      parts.pieces[static_cast<std::size_t>(s.id)] = s.text;
    }
    parts.begin_of_text = known->begin.id;
    parts.end_of_text = known->end.id;
  }
  parts.stages.push_back({Pattern(expression, PatternDialect::fancy, origin)});
  return parts;
}

}  // namespace ashlar::inline v0
