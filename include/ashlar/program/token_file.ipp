// Definitions of token_file.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include <algorithm>
#include <charconv>

#include "ashlar/checkpoint/safetensors.hpp"
#include "ashlar/core/random.hpp"
#include "ashlar/data/text.hpp"
#include "ashlar/data/tokenizers/open.hpp"
#include "ashlar/program/token_file.hpp"

namespace ashlar::inline v0 {

namespace detail {

/// A header that does not change its length with the number of tokens, which is known at the end.
inline std::string token_file_header(std::uint64_t tokens, index_t vocab_size, std::int32_t end_of_document) {
  constexpr std::size_t length = 512;
  const SafetensorsEntry entry{"tokens", DType::i32, {static_cast<index_t>(tokens)}, 0, tokens * sizeof(std::int32_t)};
  std::string out = format_safetensors_header(
      {entry}, {{"vocab_size", concat(vocab_size)}, {"end_of_document", concat(end_of_document)}});
  out.resize(length, ' ');
  for (int i = 0; i < 8; ++i) out[static_cast<std::size_t>(i)] = static_cast<char>((length - 8) >> (8 * i) & 0xFF);
  return out;
}

inline std::int32_t ending_id(const Tokenizer& tokenizer) {
  return tokenizer.end_of_text() >= 0 ? tokenizer.end_of_text() : tokenizer.begin_of_text();
}

}  // namespace detail

ASHLAR_ONCE void write_token_file(
    const std::filesystem::path& path, index_t vocab_size, std::int32_t end_of_document,
    const std::function<void(const std::function<void(std::span<const std::int32_t>)>& put)>& write) {
  write_file_atomically(path, [&](File& file) {
    std::uint64_t tokens = 0;
    const auto header = [&] { return detail::token_file_header(tokens, vocab_size, end_of_document); };
    file.write(header().data(), header().size());
    write([&](std::span<const std::int32_t> some) {
      file.write(some.data(), some.size_bytes());
      tokens += some.size();
    });
    file.rewrite(0, header().data(), header().size());
  });
}

ASHLAR_ONCE MappedTokens map_token_file(const std::string& path) {
  const SafetensorsHeader header = [&] {
    try {
      return read_safetensors_header(File::open(path));
    } catch (const ConfigError&) {
      throw;
    } catch (const Error& error) {
      throw ConfigError(error.what());
    }
  }();
  const auto entry = std::find_if(header.entries.begin(), header.entries.end(),
                                  [](const SafetensorsEntry& e) { return e.name == "tokens"; });
  if (entry == header.entries.end() || entry->dtype != DType::i32 || entry->shape.rank() != 1 || entry->shape[0] == 0)
    throw ConfigError(
        concat(path, ": is no file of tokens: an int32 tensor tokens [N] is not in it; `tokenize` writes one"));
  const auto number = [&](const char* key) -> std::int64_t {
    const auto found = header.metadata.find(key);
    std::int64_t value = -1;
    if (found != header.metadata.end())
      std::from_chars(found->second.data(), found->second.data() + found->second.size(), value);
    return value;
  };
  const auto tokens = static_cast<std::size_t>(entry->shape[0]),
             begin = static_cast<std::size_t>(header.data_begin + entry->begin);
  constexpr index_t any = index_t{1} << 31;
  index_t vocab_size = std::min(number("vocab_size"), any);
  if (vocab_size < 1) {
    const MappedTokens all(path, begin, tokens, any, -1);
    std::vector<std::int32_t> piece(std::size_t{1} << 16);
    for (std::size_t at = 0; at < tokens; at += piece.size()) {
      piece.resize(std::min(piece.size(), tokens - at));
      all.read(at, piece);
      vocab_size = std::max<index_t>(vocab_size, *std::max_element(piece.begin(), piece.end()) + index_t{1});
    }
  }
  const std::int64_t end = number("end_of_document");
  return {path, begin, tokens, vocab_size, end < vocab_size ? static_cast<std::int32_t>(end) : -1};
}

ASHLAR_ONCE std::filesystem::path cached_token_file(const std::string& dump_folder, const std::string& path,
                                                    const std::string& tokenizer_path) {
  namespace fs = std::filesystem;
  const std::string tokenizer_name = tokenizer_file(tokenizer_path);
  std::string key;
  const auto add = [&](const fs::path& file) {
    key += concat(fs::absolute(file).string(), "\n", fs::file_size(file), "\n",
                  fs::last_write_time(file).time_since_epoch().count(), "\n");
  };
  add(tokenizer_name);
  for (const fs::path& file : text_files(path)) add(file);
  std::string name;
  for (int i = 60; i >= 0; i -= 4) name += "0123456789abcdef"[hash_name(key) >> i & 15];
  const fs::path out = fs::path(dump_folder) / "tokens" / (name + ".safetensors");
  if (fs::exists(out)) return out;
  const auto tokenizer = open_tokenizer(tokenizer_path);
  make_folder(out.parent_path());
  const std::int32_t end = detail::ending_id(*tokenizer);
  write_token_file(out, tokenizer->vocab_size(), end, [&](const auto& put) {
    for_each_document(path, [&](const std::string& bytes) {
      put(tokenizer->encode(bytes));
      if (end >= 0) put(std::span(&end, 1));
    });
  });
  return out;
}

}  // namespace ashlar::inline v0
