// Llama 3, 3.1 and 3.2 (Grattafiori et al. 2024, arXiv:2407.21783): the flavors. Used as Family<Llama3>, the default.
#pragma once

#include "ashlar/models/decoder/decoder.hpp"

namespace ashlar::inline v0 {

struct Llama3 : DecoderFamily<> {
  static constexpr std::string_view name = "llama3";

 private:
  static constexpr Sizes of(index_t dim, int layers, index_t heads, index_t kv_heads, index_t hidden,
                            index_t vocab = 128256, bool tied = false) {
    Sizes s;
    s.dim = dim;
    s.num_layers = layers;
    s.num_heads = heads;
    s.num_kv_heads = kv_heads;
    s.vocab_size = vocab;
    s.hidden_dim = hidden;
    s.tied = tied;
    return s;
  }
  static constexpr Sizes stretched(Sizes s, double factor) {
    s.rope_scaling = {RopeScaling::Kind::llama3, factor, 8192};
    return s;
  }

 public:
  static std::span<const Flavor<Sizes>> flavors() {
    static constexpr Flavor<Sizes> all[] = {
        {"debugmodel", of(256, 6, 16, 16, 768, 2048)},
        {"laptop", of(384, 6, 6, 2, 1024, 2048)},
        {"124M", of(768, 12, 12, 12, 2048, 50257, true)},
        {"8B_slice", of(4096, 16, 32, 8, 14336)},
        {"8B", of(4096, 32, 32, 8, 14336)},
        {"70B", of(8192, 80, 64, 8, 28672)},
        {"405B", of(16384, 126, 128, 8, 53248)},
        {"3.1-8B", stretched(of(4096, 32, 32, 8, 14336), 8)},
        {"3.1-70B", stretched(of(8192, 80, 64, 8, 28672), 8)},
        {"3.1-405B", stretched(of(16384, 126, 128, 8, 53248), 8)},
        {"3.2-1B", stretched(of(2048, 16, 32, 8, 8192, 128256, true), 32)},
        {"3.2-3B", stretched(of(3072, 28, 24, 8, 8192, 128256, true), 32)},
    };
    return all;
  }
};

}  // namespace ashlar::inline v0
