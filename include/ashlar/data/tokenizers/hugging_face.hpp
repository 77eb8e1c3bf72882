// Hugging Face's tokenizer.json: byte pairs, over bytes (GPT-2, Llama 3 and 4, Qwen, DeepSeek) or over characters with
// a fallback to bytes. What changes ids and is not known is refused by name. Read next:
// data/tokenizers/hugging_face.ipp.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "ashlar/core/platform.hpp"
#include "ashlar/data/tokenizers/byte_pair_tokenizer.hpp"

namespace ashlar::inline v0 {

/// The tokenizer that `json` describes; `config`, where not empty, is the tokenizer_config.json beside it, which says
/// what begins and ends a text (else the post-processor does, or a common name). Throws ConfigError that begins with
/// `origin`, the file's name, and says where: the line of what is not JSON, or the dotted key.
BytePairParts read_hugging_face(std::string_view json, std::string_view config, const std::string& origin);

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/data/tokenizers/hugging_face.ipp"
#endif
