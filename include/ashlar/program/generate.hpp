// Generation: a trained model continues a text, token by token, with a key-value cache. The subcommand generate.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "ashlar/core/platform.hpp"
#include "ashlar/core/random.hpp"
#include "ashlar/data/tokenizers/open.hpp"
#include "ashlar/models/decoder/next_logits.hpp"
#include "ashlar/train/checkpointer.hpp"

namespace ashlar::inline v0 {

/// Draws an id from logits at a temperature (0: the largest), among the top_k largest (0: all). `draw` numbers the
/// draws.
std::int32_t sample(std::vector<double> logits, double temperature, int top_k, const RandomStream& random,
                    std::uint64_t draw);

/// Continues `prompt` by up to `tokens` tokens, and stops at the end of a text; `emit` gets each one's bytes. One rank.
/// The prompt and what follows must fit into --training.seq_len: then the oldest half is dropped and read again.
template <class M, class Emit>
void generate(Trainer<M>& trainer, const GenerateConfig& config, const Tokenizer& tokenizer, Emit&& emit) {
  using E = typename M::Environment;
  using D = typename E::Device;
  using A = typename E::Master;
  if (trainer.stages().size() != 1 || trainer.mesh().world().size() != 1)
    throw ConfigError("generate runs on one rank; leave the parallelism flags out");
  auto& stage = *trainer.stages().front();
  const index_t window = trainer.batch().seq_len;
  const index_t ids = std::min<index_t>(trainer.sizes().vocab_size, tokenizer.vocab_size());
  KeyValueCache<E> cache = make_cache(stage, trainer.memory(), 1, window);
  Tensor<std::int32_t, D> tokens(trainer.memory(), {window}), starts(trainer.memory(), {window});
  starts.zero(trainer.queue());
  std::vector<std::int32_t> text = tokenizer.encode(config.prompt);
  const std::int32_t end = tokenizer.end_of_text(), begin = tokenizer.begin_of_text();
  if (begin >= 0 || end >= 0) text.insert(text.begin(), begin >= 0 ? begin : end);
  if (text.empty()) throw ConfigError("generate needs a --prompt: the tokenizer has no token that begins a text");
  if (const std::int32_t largest = *std::max_element(text.begin(), text.end()); largest >= trainer.sizes().vocab_size)
    throw ConfigError(concat("the tokenizer's token ", largest, " does not fit into the model's vocabulary of ",
                             trainer.sizes().vocab_size));
  const RandomStream random(static_cast<std::uint64_t>(config.seed), hash_name("generate"));
  std::size_t read = 0;
  for (int i = 0; i < config.tokens; ++i) {
    if (static_cast<index_t>(text.size() - read) + cache.length > window) {
      cache.length = 0;
      read = text.size() - std::min(text.size(), static_cast<std::size_t>(std::max<index_t>(window / 2, 1)));
    }
    const auto n = static_cast<index_t>(text.size() - read);
    D::upload(trainer.queue(), tokens.data(), text.data() + read, static_cast<std::size_t>(n) * sizeof(std::int32_t));
    read = text.size();
    const ViewBatch<M> batch{1, n, tokens.view().range(0, n), {}, starts.view().range(0, n)};
    const auto logits = next_logits(stage, batch, cache);
    std::vector<A> host(static_cast<std::size_t>(ids));
    D::download(trainer.queue(), host.data(), logits.data(), host.size() * sizeof(A));
    const std::int32_t next = sample(std::vector<double>(host.begin(), host.end()), config.temperature, config.top_k,
                                     random, static_cast<std::uint64_t>(i));
    if (next == end) return;
    text.push_back(next);
    emit(tokenizer.bytes_of(next));
  }
}

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/program/generate.ipp"
#endif
