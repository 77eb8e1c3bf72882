// DeepSeek-V3 (arXiv:2412.19437) and its forerunner DeepSeek-V2 (arXiv:2405.04434): latent attention with YaRN, dense
// layers and then experts in groups, balanced by a bias, beside shared ones. Used as Family<DeepSeekV3>.
#pragma once

#include "ashlar/models/decoder/decoder.hpp"
#include "ashlar/nn/attention/latent.hpp"

namespace ashlar::inline v0 {

struct DeepSeekV3Sizes : DecoderSizes {
  index_t query_rank = 0;  // 0: queries are projected at once
  index_t key_value_rank = 512;
  index_t nope_dim = 128, rope_dim = 64, value_dim = 128;
  bool sigmoid_scores = true;  // V3; V2's are a softmax

  index_t rope_width() const { return rope_dim; }
  index_t attention_width() const { return num_heads * (nope_dim + rope_dim + value_dim) / 2; }
  operator LatentSizes() const {  // NOLINT: implicit
    LatentSizes s{dim, num_heads, query_rank, key_value_rank, nope_dim, rope_dim, value_dim};
    s.norm_eps = norm_eps;
    return s;
  }
};

struct DeepSeekV3 : DecoderFamily<DeepSeekV3Sizes> {
  static constexpr std::string_view name = "deepseek_v3";
  using Attention = Attn<Latent<BlockCausal>>;
  using FeedForward = Ffn<SwiGlu, MoE<TopK<Sigmoid>>, MoE<TopK<Softmax>>>;

 private:
  struct Dense {
    index_t dim;
    int layers;
    index_t heads, vocab, hidden;
  };
  struct Routed {
    index_t experts, top_k, hidden, shared;
    double scale = 1;
    index_t groups = 1, group_limit = 1;
    bool v3 = false;  // sigmoids whose weights add up; a group is worth its two best, and in V2 its best
  };
  static constexpr Sizes of(const Dense& d, int dense_layers, const Routed& r, index_t query_rank, double mscale) {
    Sizes s;
    s.dim = d.dim;
    s.num_layers = d.layers;
    s.num_heads = s.num_kv_heads = d.heads;
    s.vocab_size = d.vocab;
    s.hidden_dim = d.hidden;
    s.norm_eps = 1e-6;
    s.rope_theta = 10000;
    s.rope_scaling = {RopeScaling::Kind::yarn, 40, 4096, true};
    s.rope_scaling.mscale = s.rope_scaling.mscale_all_dim = mscale;
    s.num_dense_layers = dense_layers;
    s.moe = {r.experts, r.top_k, r.hidden, r.shared, r.v3, r.scale};
    s.moe.num_groups = r.groups;
    s.moe.group_limit = r.group_limit;
    s.moe.group_best = r.v3 ? 2 : 1;
    s.query_rank = query_rank;
    s.sigmoid_scores = r.v3;
    return s;
  }

 public:
  static LayerKind layer(const Sizes& s, int l) { return {0, s.is_moe(l) ? (s.sigmoid_scores ? 1 : 2) : 0}; }

  static std::span<const Flavor<Sizes>> flavors() {
    static constexpr Flavor<Sizes> all[] = {
        {"debugmodel", of({256, 6, 16, 2048, 1024}, 1, {8, 3, 256, 2}, 0, 0.7)},
        {"16B", of({2048, 27, 16, 102400, 10944}, 1, {64, 6, 1408, 2}, 0, 0.7)},
        {"236B", of({5120, 60, 128, 102400, 12288}, 1, {160, 6, 1536, 2, 16, 8, 3}, 1536, 1)},
        {"671B", of({7168, 61, 128, 129280, 18432}, 3, {256, 8, 2048, 1, 2.5, 8, 4, true}, 1536, 1)},
    };
    return all;
  }
};

}  // namespace ashlar::inline v0
