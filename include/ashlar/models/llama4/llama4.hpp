// Llama 4, text (Meta 2025): layers that turn queries and keys and stay within chunks, and now and then one without
// positions that sees everything; dense feed-forwards and mixtures of experts by turns. Used as Family<Llama4>.
#pragma once

#include "ashlar/models/decoder/decoder.hpp"

namespace ashlar::inline v0 {

struct Llama4Sizes : DecoderSizes {
  int moe_interval = 2;            // layer l is a mixture of experts where (l + 1) % moe_interval == 0
  int global_interval = 4;         // layer l has no positions and sees everything where l % global_interval == 0
  index_t attention_chunk = 8192;  // positions of the other layers' chunks

  operator GroupedQuerySizes() const {  // NOLINT: implicit
    GroupedQuerySizes s = DecoderSizes::operator GroupedQuerySizes();
    s.local = attention_chunk;
    return s;
  }
};

namespace detail {
constexpr DecoderSizes with_experts(DecoderSizes sizes, const MoeSizes& moe) {
  sizes.moe = moe;
  return sizes;
}
}  // namespace detail

struct Llama4 : DecoderFamily<Llama4Sizes> {
  static constexpr std::string_view name = "llama4";
  using Attention = Attn<Grouped<Chunked<BlockCausal>>, Grouped<BlockCausal, NoRope>>;
  using FeedForward = Ffn<SwiGlu, MoE<TopK<Sigmoid>>>;

  static LayerKind layer(const Sizes& s, int l) {
    return {l % s.global_interval == 0 ? 1 : 0, (l + 1) % s.moe_interval == 0 ? 1 : 0};
  }
  static std::span<const Flavor<Sizes>> flavors() {
    static constexpr MoeSizes few{.num_experts = 8, .top_k = 1, .hidden_dim = 512, .num_shared_experts = 1};
    static constexpr MoeSizes scout{.num_experts = 16, .top_k = 1, .hidden_dim = 8192, .num_shared_experts = 1};
    static constexpr MoeSizes maverick{.num_experts = 128, .top_k = 1, .hidden_dim = 8192, .num_shared_experts = 1};
    static constexpr DecoderSizes large{
        .dim = 5120, .num_layers = 48, .num_heads = 40, .num_kv_heads = 8, .vocab_size = 202048, .hidden_dim = 16384};
    static constexpr DecoderSizes debug{
        .dim = 256, .num_layers = 6, .num_heads = 16, .num_kv_heads = 16, .vocab_size = 2048, .hidden_dim = 768};
    static constexpr Flavor<Sizes> all[] = {{"debugmodel", {detail::with_experts(debug, few), 2, 4, 256}},
                                            {"17bx16e", {detail::with_experts(large, scout), 1, 4, 8192}},
                                            {"17bx128e", {detail::with_experts(large, maverick), 2, 4, 8192}}};
    return all;
  }
};

}  // namespace ashlar::inline v0
