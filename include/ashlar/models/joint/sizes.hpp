// The numbers of a joint model of images and text. Read next: models/joint/joint.hpp.
#pragma once

#include <cmath>

#include "ashlar/nn/attention/sizes.hpp"

namespace ashlar::inline v0 {

struct JointSizes {
  index_t dim = 0, num_heads = 0;
  int double_blocks = 0, single_blocks = 0;
  index_t hidden_dim = 0;                   // of feed-forwards
  index_t channels = 0, text_channels = 0;  // of a row of latents, and of a row of text features
  index_t text_len = 0;                     // rows of text a sequence; those of the image are --training.seq_len
  index_t time_features = 32;               // an even number

  GroupedQuerySizes attention() const { return {dim, num_heads, num_heads, dim / num_heads}; }
  static double depth_std(int layer) { return 0.02 / std::sqrt(2.0 * (layer + 1)); }
};

}  // namespace ashlar::inline v0
