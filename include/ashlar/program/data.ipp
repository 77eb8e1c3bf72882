// Definitions of data.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include <chrono>

#include "ashlar/data/tokenizers/open.hpp"
#include "ashlar/program/data.hpp"
#include "ashlar/program/token_file.hpp"

namespace ashlar::inline v0 {

namespace detail {

/// Where the tokens of the text are, written first by rank 0 where they have to be.
inline std::string token_file_of(const Config& config, Communicator world) {
  const std::string& path = config.training.dataset_path;
  if (path.ends_with(".safetensors")) return path;
  const auto file = [&] { return cached_token_file(config.job.dump_folder, path, config.training.tokenizer).string(); };
  // The others wait as long as it takes.
  const auto before = world.set_timeout(std::chrono::hours(24));
  std::string made, error;
  try {
    if (world.rank() == 0) made = file();
  } catch (const std::exception& e) {
    error = e.what();
  }
  const bool failed = world.broadcast_value(std::int32_t{!error.empty()}, 0) != 0;
  world.set_timeout(before);
  if (failed) throw ConfigError(error.empty() ? "rank 0 could not write the tokens of the text" : error);
  return world.rank() == 0 ? made : file();
}

/// Tokens of a file, and what is held out of them.
inline std::shared_ptr<const TokenSequence> map_data(const Config& config, index_t vocab_size, Communicator world,
                                                     RunData& data) {
  const auto fits = [&](index_t tokens, index_t most, std::string_view who) {
    if (tokens > most)
      throw ConfigError(
          concat(who, " has a vocabulary of ", tokens, " tokens, which does not fit into the ", most, " of ",
                 most == vocab_size ? concat("the model's flavor ", config.model.flavor) : "the tokenizer"));
  };
  if (!config.training.tokenizer.empty()) {
    data.tokenizer = open_tokenizer(config.training.tokenizer);
    fits(data.tokenizer->vocab_size(), vocab_size, config.training.tokenizer);
  }
  const MappedTokens all = map_token_file(token_file_of(config, world));
  fits(all.vocab_size(), data.tokenizer ? data.tokenizer->vocab_size() : vocab_size, config.training.dataset_path);
  const double held_out = config.validation.enable ? config.validation.held_out_fraction : 0;
  const auto keep = static_cast<std::size_t>(static_cast<double>(all.size()) * (1 - held_out));
  if (config.validation.enable) data.held_out = std::make_shared<MappedTokens>(all.part(keep, all.size()));
  return std::make_shared<MappedTokens>(all.part(0, keep));
}

}  // namespace detail

ASHLAR_ONCE RunData open_data(const Config& config, index_t vocab_size, Communicator world) {
  const auto seed = static_cast<std::uint64_t>(config.training.seed);
  const std::string& path = config.training.dataset_path;
  RunData data;
  if (config.training.dataset == "random") {
    if (config.validation.enable)
      throw ConfigError(
          "--validation.enable needs --training.dataset text: of random tokens there is nothing to hold out");
    data.train = std::make_shared<RandomTokens>(seed, vocab_size);
    return data;
  }
  std::shared_ptr<const TokenSequence> train;
  if (!config.training.tokenizer.empty() || path.ends_with(".safetensors")) {
    train = detail::map_data(config, vocab_size, world, data);
  } else {
    Text text = Text::read(path);
    if (config.validation.enable)
      data.held_out = data.held_out_text = std::make_shared<Text>(text.hold_out(config.validation.held_out_fraction));
    train = data.text = std::make_shared<Text>(std::move(text));
  }
  if (data.held_out && static_cast<index_t>(data.held_out->size()) <= config.training.seq_len)
    throw ConfigError(concat("--validation.held_out_fraction ", config.validation.held_out_fraction, " holds out ",
                             data.held_out->size(), " tokens, fewer than one row of --training.seq_len ",
                             config.training.seq_len, " needs; raise it, or take a longer text or a smaller seq_len"));
  data.train = std::make_shared<TextRows>(train, config.training.seq_len, seed, true);
  return data;
}

ASHLAR_ONCE double held_out_bytes_per_token(const RunData& data, index_t seq_len) {
  const TextRows rows(data.held_out, seq_len, 0, false);
  std::vector<std::int32_t> row(static_cast<std::size_t>(seq_len) + 1);
  std::size_t bytes = 0;
  for (std::int64_t r = 0; r < rows.windows(); ++r) {
    rows.read(r, row);
    for (std::size_t i = 1; i < row.size(); ++i)
      if (row[i] != rows.end_of_document()) bytes += data.tokenizer->bytes_of(row[i]).size();
  }
  return static_cast<double>(bytes) / static_cast<double>(rows.windows() * seq_len);
}

}  // namespace ashlar::inline v0
