// Llama 4, text (Meta 2025): layers that turn queries and keys and stay within chunks, and now and then one without
// positions that sees everything; dense feed-forwards and mixtures of experts by turns, whose scores weigh what experts
// read. Used as Family<Llama4>.
#pragma once

#include <cmath>

#include "ashlar/models/decoder/decoder.hpp"

namespace ashlar::inline v0 {

struct Llama4Sizes : DecoderSizes {
  int moe_interval = 2;            // layer l is a mixture of experts where (l + 1) % moe_interval == 0
  int global_interval = 4;         // layer l has no positions and sees everything where (l + 1) % global_interval == 0
  index_t attention_chunk = 8192;  // positions of the other layers' chunks
  bool length_norm = false;        // of queries and keys that turn
  // Queries of layers without positions are multiplied by 1 + scale log(1 + floor((position + 1) / interval)).
  double query_scale = 0.1;
  index_t query_scale_interval = 8192;

  RopeAngles rope_angles(index_t width, index_t max_len) const {
    RopeAngles angles = DecoderSizes::rope_angles(width, max_len);
    for (index_t p = 0; query_scale != 0 && p < max_len; ++p)
      angles.query_scales.push_back(
          static_cast<float>(1 + query_scale * std::log1p(static_cast<double>((p + 1) / query_scale_interval))));
    return angles;
  }
  operator GroupedQuerySizes() const {  // NOLINT: implicit
    GroupedQuerySizes s = DecoderSizes::operator GroupedQuerySizes();
    s.local = attention_chunk;
    s.length_norm = length_norm;
    return s;
  }
};

struct Llama4 : DecoderFamily<Llama4Sizes> {
  static constexpr std::string_view name = "llama4";
  using Attention = Attn<Grouped<Chunked<BlockCausal>, Rope<>, LengthNorm>, Grouped<BlockCausal, ScaledQueries>>;
  using FeedForward = Ffn<SwiGlu, MoE<TopK<Sigmoid>>>;

 private:
  /// Of one expert a token and one shared. `stretched`: for ten million positions, with norms of queries and keys.
  static constexpr Sizes of(index_t dim, int layers, index_t heads, index_t kv_heads, index_t hidden, index_t vocab,
                            index_t experts, index_t expert_hidden, int moe_interval, index_t chunk, bool stretched) {
    Sizes s;
    s.dim = dim;
    s.num_layers = layers;
    s.num_heads = heads;
    s.num_kv_heads = kv_heads;
    s.vocab_size = vocab;
    s.hidden_dim = hidden;
    s.moe = {experts, 1, expert_hidden, 1};
    s.moe.score_before_experts = true;
    s.moe_interval = moe_interval;
    s.attention_chunk = chunk;
    s.length_norm = stretched;
    if (stretched) s.rope_scaling = {RopeScaling::Kind::llama3, 16, 8192, false, 1, 1};
    return s;
  }

 public:
  static LayerKind layer(const Sizes& s, int l) {
    return {(l + 1) % s.global_interval == 0 ? 1 : 0, (l + 1) % s.moe_interval == 0 ? 1 : 0};
  }
  static std::span<const Flavor<Sizes>> flavors() {
    static constexpr Flavor<Sizes> all[] = {
        {"debugmodel", of(256, 6, 16, 16, 768, 2048, 8, 512, 2, 256, false)},
        {"17bx16e", of(5120, 48, 40, 8, 16384, 202048, 16, 8192, 1, 8192, true)},
        {"17bx128e", of(5120, 48, 40, 8, 16384, 202048, 128, 8192, 2, 8192, false)}};
    return all;
  }
};

}  // namespace ashlar::inline v0
