// The data that a configuration names: what is trained on, and the held-out part. Read next: data/text.hpp.
#pragma once

#include <memory>
#include <optional>

#include "ashlar/config/config.hpp"
#include "ashlar/core/platform.hpp"
#include "ashlar/data/bigram.hpp"
#include "ashlar/data/random_tokens.hpp"
#include "ashlar/data/text.hpp"

namespace ashlar::inline v0 {

struct RunData {
  std::shared_ptr<const TokenSource> train;
  std::shared_ptr<const Text> text, held_out;  // of --training.dataset text
};

/// Reads the data. `vocab_size` is the model's: what random tokens are drawn from. The text's last
/// --validation.held_out_fraction is held out where validation is on. Throws ConfigError where there is no text, or it
/// or its held-out part has not one row, and for validation on random tokens.
RunData open_data(const Config& config, index_t vocab_size);

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/program/data.ipp"
#endif
