// Where a tokenizer comes from: a file, or the folder of a model. Read next: data/tokenizers/hugging_face.hpp,
// data/tokenizers/tiktoken.hpp.
#pragma once

#include <memory>
#include <string>

#include "ashlar/core/platform.hpp"
#include "ashlar/data/tokenizers/tokenizer.hpp"

namespace ashlar::inline v0 {

/// Opens `path`: nothing, for bytes; a file, tokenizer.json or tiktoken's ranks (with FILE.pattern beside it where the
/// file is none of the known); a folder with a tokenizer.json, a tokenizer.model of ranks, or one *.tiktoken. Throws
/// ConfigError that names the file.
std::shared_ptr<const Tokenizer> open_tokenizer(const std::string& path);

/// The file that open_tokenizer(path) reads.
std::string tokenizer_file(const std::string& path);

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/data/tokenizers/open.ipp"
#endif
