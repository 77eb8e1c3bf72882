// The subcommand tokenize: a text as a file of tokens, and back. Read next: program/token_file.hpp.
#pragma once

#include <string>

#include "ashlar/config/config.hpp"
#include "ashlar/core/platform.hpp"

namespace ashlar::inline v0 {

/// Writes tokenize.output from tokenize.input. Returns what it did, in a sentence, which also says so where the
/// tokenizer changes the text and decode will not give the same bytes back. Throws ConfigError that names the file.
std::string tokenize(const TokenizeConfig& config);

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/program/tokenize.ipp"
#endif
