// The numbers that all decoders have; a family's Sizes adds its own. Run-time values; what changes code is in the
// recipe. Read next: models/llama3/llama3.hpp.
#pragma once

#include <cmath>

#include "ashlar/models/model.hpp"
#include "ashlar/moe/sizes.hpp"
#include "ashlar/nn/attention/rope_angles.hpp"
#include "ashlar/nn/attention/sizes.hpp"

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
  index_t head_dim = 0;  // 0: dim / num_heads
  RopeScaling rope_scaling = {};

  index_t width_of_head() const { return head_dim > 0 ? head_dim : dim / num_heads; }
  /// Columns of a head that positions turn.
  index_t rope_width() const { return width_of_head(); }
  /// What a stage's table is made of, for sequences of up to max_len positions.
  RopeAngles rope_angles(index_t width, index_t max_len) const {
    return ashlar::rope_angles(width, rope_theta, rope_scaling, max_len);
  }
  /// Columns that the scores of a query and a key multiply, and as many of values: the mean of the two.
  index_t attention_width() const { return num_heads * width_of_head(); }
  bool is_moe(int layer) const { return num_dense_layers >= 0 && layer >= num_dense_layers; }
  /// 0.02 / sqrt(2 (layer + 1)): the standard deviation of the matrices that write to the residual stream.
  static double depth_std(int layer) { return 0.02 / std::sqrt(2.0 * (layer + 1)); }

  // NOLINTNEXTLINE: implicit, it is how an attention module asks for its numbers
  operator GroupedQuerySizes() const { return {dim, num_heads, num_kv_heads, width_of_head(), norm_eps}; }
};

/// Which of the kinds of Attn<...> and of the feed-forwards a layer has: the dense feed-forward is 0, what Ffn<...>
/// names besides SwiGlu is counted from 1.
struct LayerKind {
  int attention = 0, feed_forward = 0;
};

/// `multiplied`: parameters that take part in a product for every token (the embedding's rows do not; of routed
/// experts, top_k of num_experts do).
inline FlopCount count_flops(int layers, index_t attention_width, double multiplied, index_t seq_len) {
  const double attention = 12.0 * layers * static_cast<double>(attention_width * seq_len);
  return {6 * multiplied + attention, 6 * multiplied + attention / 2};
}

}  // namespace ashlar::inline v0
