// Tiny: a model family for tests, used as Family<Tiny>. Flavors: "debugmodel" (dense), "moe" (first block dense),
// "tied" (the output is the embedding's table, key-value heads are grouped). Sizes divide by tp 4 and ep 4; those of
// "tied" by tp 2.
#pragma once

#include "ashlar/data/random_tokens.hpp"
#include "ashlar/models/transformer.hpp"

namespace ashlar::inline v0 {

struct Tiny : DecoderFamily<> {
  static constexpr std::string_view name = "tiny";

  static std::span<const Flavor<Sizes>> flavors() {
    static constexpr Flavor<Sizes> all[] = {
        {"debugmodel",
         {.dim = 32, .num_layers = 2, .num_heads = 4, .num_kv_heads = 4, .vocab_size = 64, .hidden_dim = 48}},
        {"moe",
         {.dim = 32,
          .num_layers = 3,
          .num_heads = 4,
          .num_kv_heads = 4,
          .vocab_size = 64,
          .hidden_dim = 48,
          .num_dense_layers = 1,
          .moe = {.num_experts = 4, .top_k = 2, .hidden_dim = 16, .num_shared_experts = 1}}},
        {"tied",
         {.dim = 32,
          .num_layers = 2,
          .num_heads = 4,
          .num_kv_heads = 2,
          .vocab_size = 64,
          .hidden_dim = 48,
          .tied = true}},
    };
    return all;
  }
};

}  // namespace ashlar::inline v0
