// The data that a configuration names: what is trained on, and the held-out part. Read next: data/text.hpp,
// program/token_file.hpp.
#pragma once

#include <memory>
#include <optional>

#include "ashlar/comm/communicator.hpp"
#include "ashlar/config/config.hpp"
#include "ashlar/core/platform.hpp"
#include "ashlar/data/bigram.hpp"
#include "ashlar/data/random_tokens.hpp"
#include "ashlar/data/text.hpp"
#include "ashlar/data/tokenizers/tokenizer.hpp"

namespace ashlar::inline v0 {

struct RunData {
  std::shared_ptr<const TokenSource> train;
  std::shared_ptr<const TokenSequence> held_out;  // of --training.dataset text
  // Of bytes: what is trained on, and the same as held_out, for a bigram.
  std::shared_ptr<const Text> text, held_out_text;
  std::shared_ptr<const Tokenizer> tokenizer;  // where one is named
};

/// Reads the data. `vocab_size` is the model's: what random tokens are drawn from, and what a tokenizer has to fit
/// into. The text's last --validation.held_out_fraction is held out where validation is on. Under a tokenizer tokens
/// are mapped from a file, which rank 0 of `world` writes first if it is not there. Collective. Throws ConfigError
/// where there is no text, or it or its held-out part has not one row, and for validation on random tokens.
RunData open_data(const Config& config, index_t vocab_size, Communicator world = {});

/// How many bytes of text a target of the held-out rows stands for, on average: nats a token divided by it are nats a
/// byte. Needs data.tokenizer.
double held_out_bytes_per_token(const RunData& data, index_t seq_len);

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/program/data.ipp"
#endif
