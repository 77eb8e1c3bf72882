// Qwen3 (Yang et al. 2025, arXiv:2505.09388): norms of heads, halves of a head that turn together, heads that need not
// fill dim; dense, or experts in every layer. Used as Family<Qwen3>.
#pragma once

#include "ashlar/models/decoder/decoder.hpp"

namespace ashlar::inline v0 {

struct Qwen3 : DecoderFamily<> {
  static constexpr std::string_view name = "qwen3";
  using Attention = Attn<Grouped<Causal, Rope<Halves>, HeadNorm>>;
  using FeedForward = Ffn<SwiGlu, MoE<TopK<Softmax>>>;

 private:
  static constexpr Sizes of(index_t dim, int layers, index_t heads, index_t kv_heads, index_t hidden, bool tied,
                            index_t vocab = 151936, index_t head_dim = 128, double theta = 1e6) {
    Sizes s{.dim = dim, .num_layers = layers, .num_heads = heads, .num_kv_heads = kv_heads, .vocab_size = vocab};
    s.hidden_dim = hidden;
    s.norm_eps = 1e-6;
    s.rope_theta = theta;
    s.tied = tied;
    s.head_dim = head_dim;
    return s;
  }
  /// In every layer. Their weights add up to 1; no bias balances them.
  static constexpr Sizes with_experts(Sizes s, index_t experts, index_t top_k, index_t hidden) {
    s.num_dense_layers = 0;
    s.moe.num_experts = experts;
    s.moe.top_k = top_k;
    s.moe.hidden_dim = hidden;
    s.moe.route_norm = true;
    s.moe.load_balance_coeff = 0;
    return s;
  }

 public:
  static std::span<const Flavor<Sizes>> flavors() {
    static constexpr Flavor<Sizes> all[] = {
        {"debugmodel", of(64, 3, 4, 2, 160, true, 2048, 32)},
        {"0.6B", of(1024, 28, 16, 8, 3072, true)},
        {"1.7B", of(2048, 28, 16, 8, 6144, true)},
        {"4B", of(2560, 36, 32, 8, 9728, true)},
        {"8B", of(4096, 36, 32, 8, 12288, false)},
        {"14B", of(5120, 40, 40, 8, 17408, false)},
        {"32B", of(5120, 64, 64, 8, 25600, false)},
        {"debugmodel_small_moe", with_experts(of(64, 3, 4, 2, 0, false, 2048, 32), 8, 2, 48)},
        {"debugmodel_moe", with_experts(of(1024, 28, 16, 8, 3072, false), 64, 8, 768)},
        {"30B-A3B", with_experts(of(2048, 48, 32, 4, 6144, false), 128, 8, 768)},
        {"235B-A22B", with_experts(of(4096, 94, 64, 4, 12288, false, 151936, 128, 5e6), 128, 8, 1536)},
    };
    return all;
  }
};

}  // namespace ashlar::inline v0
