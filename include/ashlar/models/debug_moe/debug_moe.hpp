// The debug mixture of experts: the Llama 3 debug model, its first block dense, the others with 8 experts, 2 a token,
// and a shared one. Used as Family<DebugMoe>.
#pragma once

#include "ashlar/models/decoder/decoder.hpp"

namespace ashlar::inline v0 {

struct DebugMoe : DecoderFamily<> {
  static constexpr std::string_view name = "debug_moe";

  static std::span<const Flavor<Sizes>> flavors() {
    static constexpr Flavor<Sizes> all[] = {
        {"debugmodel",
         {.dim = 256,
          .num_layers = 6,
          .num_heads = 16,
          .num_kv_heads = 16,
          .vocab_size = 2048,
          .hidden_dim = 768,
          .num_dense_layers = 1,
          .moe = {.num_experts = 8, .top_k = 2, .hidden_dim = 256, .num_shared_experts = 1}}},
    };
    return all;
  }
};

}  // namespace ashlar::inline v0
