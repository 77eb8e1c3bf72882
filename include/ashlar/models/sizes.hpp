// The numbers of a decoder: what a flavor is. Run-time values; what changes code is in the recipe.
// Read next: models/llama3/llama3.hpp.
#pragma once

#include <cmath>
#include <span>
#include <string>
#include <string_view>

#include "ashlar/core/error.hpp"
#include "ashlar/moe/sizes.hpp"

namespace ashlar::inline v0 {

struct DecoderSizes {
  index_t dim = 0;
  int num_layers = 0;
  index_t num_heads = 0, num_kv_heads = 0;
  index_t vocab_size = 0;
  index_t hidden_dim = 0;  // of dense feed-forwards
  double norm_eps = 1e-5;
  double rope_theta = 500000;
  bool tied = false;          // the output projection is the embedding's table
  int num_dense_layers = -1;  // layers from here on are mixtures of experts; -1: none are
  MoeSizes moe = {};

  index_t head_dim() const { return dim / num_heads; }
  bool is_moe(int layer) const { return num_dense_layers >= 0 && layer >= num_dense_layers; }
  /// 0.02 / sqrt(2 (layer + 1)): the standard deviation of the matrices that write to the residual stream.
  static double depth_std(int layer) { return 0.02 / std::sqrt(2.0 * (layer + 1)); }
};

struct Flavor {
  std::string_view name;
  DecoderSizes sizes;
};

/// The flavor called `name`. Throws ConfigError that lists the names there are.
inline const DecoderSizes& find_flavor(std::string_view family, std::span<const Flavor> flavors,
                                       std::string_view name) {
  std::string names;
  for (const Flavor& f : flavors) {
    if (f.name == name) return f.sizes;
    names += concat(names.empty() ? "" : ", ", f.name);
  }
  throw ConfigError(concat("--model.flavor ", name, " is not a flavor of ", family, "; there are ", names));
}

/// What the usual accounting of model FLOPs needs (PaLM, arXiv:2204.02311, appendix B).
struct FlopCount {
  double per_token = 0;         // 6 parameters that multiply + 12 layers heads head_dim seq_len: full attention
  double per_token_causal = 0;  // the same with half the attention
};

/// `multiplied`: parameters that take part in a product for every token (the embedding's rows do not; of routed
/// experts, top_k of num_experts do).
inline FlopCount count_flops(const DecoderSizes& s, double multiplied, index_t seq_len) {
  const double attention = 12.0 * s.num_layers * static_cast<double>(s.num_heads * s.head_dim() * seq_len);
  return {6 * multiplied + attention, 6 * multiplied + attention / 2};
}

}  // namespace ashlar::inline v0
