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
  double load_balance_coeff = 1e-3;   // how much the selection bias moves a step; 0: no bias
  index_t num_groups = 1;             // of experts that follow one another (DeepSeek-V2, arXiv:2405.04434, section 2.2)
  index_t group_limit = 1;            // groups that a token's experts are of
  index_t group_best = 2;             // a group is worth the sum of that many of its best experts
  bool score_before_experts = false;  // weights multiply what experts read, not what they make
  double balance_loss_coeff = 0;      // of the auxiliary loss; 0: none
  bool balance_sequences = true;      // it is of each sequence; else of the rows that go through together
};

}  // namespace ashlar::inline v0
