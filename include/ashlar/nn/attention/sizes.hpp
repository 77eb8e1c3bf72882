// The numbers of attention modules: logical, not a rank's. A family's Sizes converts to those that its layers need.
#pragma once

#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0 {

/// head_dim is free: heads need not fill dim.
struct GroupedQuerySizes {
  index_t dim = 0, num_heads = 0, num_kv_heads = 0, head_dim = 0;
  double norm_eps = 1e-5;  // of HeadNorm
};

}  // namespace ashlar::inline v0
