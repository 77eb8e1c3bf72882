// The numbers of attention modules: logical, not a rank's. A family's Sizes converts to those that its layers need.
#pragma once

#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0 {

/// head_dim is free: heads need not fill dim.
struct GroupedQuerySizes {
  index_t dim = 0, num_heads = 0, num_kv_heads = 0, head_dim = 0;
  double norm_eps = 1e-5;    // of HeadNorm and LengthNorm
  index_t local = 0;         // positions of a chunk (Chunked) or of a window (SlidingWindow)
  bool length_norm = false;  // whether LengthNorm acts
};

/// Multi-head latent attention. A head of queries and keys is nope_dim columns that positions do not turn, then
/// rope_dim that they do; the latter are one for all heads of keys.
struct LatentSizes {
  index_t dim = 0, num_heads = 0;
  index_t query_rank = 0;  // of the query's low-rank projection; 0: it is projected at once
  index_t key_value_rank = 0;
  index_t nope_dim = 0, rope_dim = 0, value_dim = 0;
  double norm_eps = 1e-5;
  double scale = 0;  // of the scores, before RopeAngles::score_scale; 0: (nope_dim + rope_dim)^(-1/2)
  index_t local = 0;

  index_t head_dim() const { return nope_dim + rope_dim; }
};

}  // namespace ashlar::inline v0
