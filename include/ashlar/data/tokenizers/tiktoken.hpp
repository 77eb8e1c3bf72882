// tiktoken's rank files: a line for each token, its bytes in base64 and its rank, which is its id. The file has neither
// the regular expression nor the special tokens. Read next: data/tokenizers/tiktoken.ipp, which files are known.
#pragma once

#include <string>
#include <string_view>

#include "ashlar/core/platform.hpp"
#include "ashlar/data/tokenizers/byte_pair_tokenizer.hpp"

namespace ashlar::inline v0 {

/// The tokenizer of the ranks in `text`. `expression` is how text is cut, in tiktoken's dialect; where it is empty, the
/// number of ranks says which of the known files it is. Text that spells a special token is text. Throws ConfigError
/// that begins with `origin` and the line at fault.
BytePairParts read_tiktoken(std::string_view text, std::string_view expression, const std::string& origin);

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/data/tokenizers/tiktoken.ipp"
#endif
