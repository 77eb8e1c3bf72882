// Definitions of tokenize.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/data/tokenizers/open.hpp"
#include "ashlar/program/token_file.ipp"
#include "ashlar/program/tokenize.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE std::string tokenize(const TokenizeConfig& config) {
  if (config.input.empty() || config.output.empty())
    throw ConfigError("tokenize needs --input, the file to read, and --output, the file to write");
  const auto tokenizer = open_tokenizer(config.tokenizer);
  if (config.decode) {
    const MappedTokens tokens = map_token_file(config.input);
    if (tokens.vocab_size() > tokenizer->vocab_size())
      throw ConfigError(concat(config.input, ": its vocabulary has ", tokens.vocab_size(),
                               " tokens, and the tokenizer's ", tokenizer->vocab_size(),
                               "; take the tokenizer that made it"));
    std::vector<std::int32_t> ids(tokens.size());
    tokens.read(0, ids);
    const std::string text = tokenizer->decode(ids);
    write_file_atomically(config.output, text);
    return concat(config.output, ": ", text.size(), " bytes of ", ids.size(), " tokens");
  }
  std::string text;
  {
    const File file = [&] {
      try {
        return File::open(config.input);
      } catch (const Error& error) {
        throw ConfigError(error.what());
      }
    }();
    text.resize(static_cast<std::size_t>(file.size()));
    file.read(0, text.data(), text.size());
  }
  if (text.empty()) throw ConfigError(concat(config.input, ": is empty; there is nothing to tokenize"));
  const std::vector<std::int32_t> ids = tokenizer->encode(text);
  write_token_file(config.output, tokenizer->vocab_size(), detail::ending_id(*tokenizer),
                   [&](const auto& put) { put(ids); });
  return concat(config.output, ": ", ids.size(), " tokens of ", text.size(), " bytes",
                tokenizer->decode(ids) == text
                    ? ""
                    : "; the tokenizer changes this text, and --decode gives back the changed one");
}

}  // namespace ashlar::inline v0
