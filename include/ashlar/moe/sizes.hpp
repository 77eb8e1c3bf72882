// The numbers of a mixture-of-experts layer; run-time, from the flavor. Read next: moe/moe.hpp.
#pragma once

#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0 {

struct MoeSizes {
  index_t num_experts = 8;
  index_t top_k = 1;
  index_t hidden_dim = 0;          // of one expert
  index_t num_shared_experts = 0;  // one SwiGLU of hidden_dim * num_shared_experts, for every token
  bool route_norm = false;         // weights of a token sum to route_scale
  double route_scale = 1;
  double load_balance_coeff = 1e-3;  // how much the selection bias moves a step; 0: no bias
};

}  // namespace ashlar::inline v0
