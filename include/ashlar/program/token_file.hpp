// Files of tokens: safetensors with one int32 tensor, tokens [N], which training maps. Its metadata say how many ids
// the vocabulary has and which of them ends a document. Read next: data/mapped_tokens.hpp.
#pragma once

#include <filesystem>
#include <functional>
#include <span>

#include "ashlar/checkpoint/file.hpp"
#include "ashlar/core/platform.hpp"
#include "ashlar/data/mapped_tokens.hpp"
#include "ashlar/data/tokenizers/tokenizer.hpp"

namespace ashlar::inline v0 {

/// Writes tokens as they come: write(put) calls put(tokens) for one piece after another. The file is there in full or
/// not at all.
void write_token_file(const std::filesystem::path& path, index_t vocab_size, std::int32_t end_of_document,
                      const std::function<void(const std::function<void(std::span<const std::int32_t>)>& put)>& write);

/// Maps a file of tokens. Where its metadata do not say of the vocabulary, its largest token does. Throws ConfigError
/// for a file of anything else, and for one without tokens.
MappedTokens map_token_file(const std::string& path);

/// The file in the run's dump folder with the tokens of the text `path`, made there if it is not: named after the
/// tokenizer and the text's files, their sizes and times. A document is a file; after each stands the id that ends a
/// text, or else the one that begins one. One rank calls it.
std::filesystem::path cached_token_file(const std::string& dump_folder, const std::string& path,
                                        const std::string& tokenizer_path);

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/program/token_file.ipp"
#endif
