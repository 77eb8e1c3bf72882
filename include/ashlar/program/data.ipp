// Definitions of data.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/program/data.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE RunData open_data(const Config& config, index_t vocab_size) {
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
