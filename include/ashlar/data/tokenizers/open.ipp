// Definitions of open.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include <filesystem>
#include <fstream>

#include "ashlar/data/tokenizers/byte_tokenizer.hpp"
#include "ashlar/data/tokenizers/hugging_face.hpp"
#include "ashlar/data/tokenizers/open.hpp"
#include "ashlar/data/tokenizers/tiktoken.hpp"

namespace ashlar::inline v0 {

namespace detail {

inline std::string whole_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::error_code error;
  std::string bytes(static_cast<std::size_t>(std::filesystem::file_size(path, error)), '\0');
  if (error || !in || !in.read(bytes.data(), static_cast<std::streamsize>(bytes.size())))
    throw ConfigError(concat(path.string(), ": can't read the tokenizer's file"));
  return bytes;
}

}  // namespace detail

ASHLAR_ONCE std::string tokenizer_file(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    if (fs::is_regular_file(path, error)) return path;
    throw ConfigError(
        concat(path, ": no tokenizer is there; name a tokenizer.json, a tiktoken file, or a folder with one"));
  }
  for (const char* name : {"tokenizer.json", "tokenizer.model"})
    if (fs::is_regular_file(fs::path(path) / name, error)) return (fs::path(path) / name).string();
  std::string found;
  for (fs::directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error)) {
    if (entry->path().extension() != ".tiktoken") continue;
    if (!found.empty()) throw ConfigError(concat(path, ": has several tiktoken files; name one"));
    found = entry->path().string();
  }
  if (found.empty()) throw ConfigError(concat(path, ": has no tokenizer.json, no tokenizer.model and no *.tiktoken"));
  return found;
}

ASHLAR_ONCE std::shared_ptr<const Tokenizer> open_tokenizer(const std::string& path) {
  namespace fs = std::filesystem;
  if (path.empty()) return std::make_shared<ByteTokenizer>();
  const std::string file = tokenizer_file(path), bytes = detail::whole_file(file);
  const auto beside = [&](const fs::path& name) {
    std::error_code error;
    return fs::is_regular_file(name, error) ? detail::whole_file(name) : std::string();
  };
  if (fs::path(file).extension() == ".json")
    return std::make_shared<BytePairTokenizer>(
        read_hugging_face(bytes, beside(fs::path(file).replace_filename("tokenizer_config.json")), file));
  std::string expression = beside(file + ".pattern");
  while (expression.ends_with('\n')) expression.pop_back();
  return std::make_shared<BytePairTokenizer>(read_tiktoken(bytes, expression, file));
}

}  // namespace ashlar::inline v0
