// Llama 3 (Grattafiori et al. 2024, arXiv:2407.21783): the flavors. Used as Family<Llama3>, the default.
#pragma once

#include "ashlar/models/decoder/decoder.hpp"

namespace ashlar::inline v0 {

struct Llama3 : DecoderFamily<> {
  static constexpr std::string_view name = "llama3";

  static std::span<const Flavor<Sizes>> flavors() {
    static constexpr Flavor<Sizes> all[] = {
        {"debugmodel",
         {.dim = 256, .num_layers = 6, .num_heads = 16, .num_kv_heads = 16, .vocab_size = 2048, .hidden_dim = 768}},
        {"124M",
         {.dim = 768,
          .num_layers = 12,
          .num_heads = 12,
          .num_kv_heads = 12,
          .vocab_size = 50257,
          .hidden_dim = 2048,
          .tied = true}},
        {"1B",
         {.dim = 2048,
          .num_layers = 16,
          .num_heads = 32,
          .num_kv_heads = 8,
          .vocab_size = 128256,
          .hidden_dim = 8192,
          .tied = true}},
        {"8B_slice",
         {.dim = 4096,
          .num_layers = 16,
          .num_heads = 32,
          .num_kv_heads = 8,
          .vocab_size = 128256,
          .hidden_dim = 14336}},
        {"8B",
         {.dim = 4096,
          .num_layers = 32,
          .num_heads = 32,
          .num_kv_heads = 8,
          .vocab_size = 128256,
          .hidden_dim = 14336}},
        {"70B",
         {.dim = 8192,
          .num_layers = 80,
          .num_heads = 64,
          .num_kv_heads = 8,
          .vocab_size = 128256,
          .hidden_dim = 28672}},
        {"405B",
         {.dim = 16384,
          .num_layers = 126,
          .num_heads = 128,
          .num_kv_heads = 8,
          .vocab_size = 128256,
          .hidden_dim = 53248}},
    };
    return all;
  }
};

}  // namespace ashlar::inline v0
