// The data that a configuration names: what is trained on, and the held-out part. Read next: data/text.hpp.
#pragma once

#include <memory>
#include <optional>

#include "ashlar/data/bigram.hpp"
#include "ashlar/data/random_tokens.hpp"
#include "ashlar/data/text.hpp"
#include "ashlar/train/config.hpp"

namespace ashlar::inline v0 {

struct RunData {
  std::shared_ptr<const TokenSource> train;
  std::shared_ptr<const Text> text, held_out;  // of --training.dataset text
};

/// Reads the data. `vocab_size` is the model's: what random tokens are drawn from. The text's last
/// --validation.held_out_fraction is held out where validation is on. Throws ConfigError where there is no text, or it
/// or its held-out part has not one row, and for validation on random tokens.
template <class CompiledOnce = void>
RunData open_data(const Config& config, index_t vocab_size) {
  const auto seed = static_cast<std::uint64_t>(config.training.seed);
  RunData data;
  if (config.training.dataset == "random") {
    if (config.validation.enable)
      throw ConfigError(
          "--validation.enable needs --training.dataset text: of random tokens there is nothing to hold out");
    data.train = std::make_shared<RandomTokens>(seed, vocab_size);
    return data;
  }
  Text text = Text::read(config.training.dataset_path);
  if (config.validation.enable) {
    data.held_out = std::make_shared<Text>(text.hold_out(config.validation.held_out_fraction));
    const std::size_t held_out = data.held_out->tokens.size();
    if (static_cast<index_t>(held_out) <= config.training.seq_len)
      throw ConfigError(concat("--validation.held_out_fraction ", config.validation.held_out_fraction, " holds out ",
                               held_out, " tokens, fewer than one row of --training.seq_len ", config.training.seq_len,
                               " needs; raise it, or take a longer text or a smaller seq_len"));
  }
  data.text = std::make_shared<Text>(std::move(text));
  data.train = std::make_shared<TextRows>(data.text, config.training.seq_len, seed, true);
  return data;
}

}  // namespace ashlar::inline v0
