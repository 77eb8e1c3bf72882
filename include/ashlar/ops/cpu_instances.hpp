// The kernels of the Cpu device in float and bf16, compiled once (see ashlar/instances.hpp). A mask of the user's own
// is compiled with the program that has it. Read next: ops/rms_norm/cpu.hpp.
#pragma once

#include "ashlar/ops/adamw/cpu.hpp"
#include "ashlar/ops/attention/cpu.hpp"
#include "ashlar/ops/attention/cpu_backward.hpp"
#include "ashlar/ops/attention/local_masks.hpp"
#include "ashlar/ops/attention/mask.hpp"
#include "ashlar/ops/balance_loss/cpu.hpp"
#include "ashlar/ops/conditioning/cpu.hpp"
#include "ashlar/ops/cross_entropy/cpu.hpp"
#include "ashlar/ops/elementwise/cpu.hpp"
#include "ashlar/ops/embedding/cpu.hpp"
#include "ashlar/ops/gradient_norm/cpu.hpp"
#include "ashlar/ops/grouped_gemm/cpu.hpp"
#include "ashlar/ops/heads/cpu.hpp"
#include "ashlar/ops/load_balance/cpu.hpp"
#include "ashlar/ops/matmul/cpu.hpp"
#include "ashlar/ops/modulation/cpu.hpp"
#include "ashlar/ops/permutation/cpu.hpp"
#include "ashlar/ops/rms_norm/cpu.hpp"
#include "ashlar/ops/rope/cpu.hpp"
#include "ashlar/ops/router/cpu.hpp"
#include "ashlar/ops/squared_error/cpu.hpp"
#include "ashlar/ops/swiglu/cpu.hpp"

namespace ashlar::inline v0::ops::cpu {

ASHLAR_INSTANCES(adamw);
ASHLAR_INSTANCES(attention, Causal);
ASHLAR_INSTANCES(attention, BlockCausal);
ASHLAR_INSTANCES(attention, Bidirectional);
ASHLAR_INSTANCES(attention, Chunked<Causal>);
ASHLAR_INSTANCES(attention, Chunked<BlockCausal>);
ASHLAR_INSTANCES(attention_backward, Causal);
ASHLAR_INSTANCES(attention_backward, BlockCausal);
ASHLAR_INSTANCES(attention_backward, Bidirectional);
ASHLAR_INSTANCES(attention_backward, Chunked<Causal>);
ASHLAR_INSTANCES(attention_backward, Chunked<BlockCausal>);
ASHLAR_INSTANCES(attention_delta);
ASHLAR_INSTANCES(timestep_features);
ASHLAR_INSTANCES(silu);
ASHLAR_INSTANCES(silu_backward);
ASHLAR_INSTANCE decltype(cross_entropy_statistics<float>) cross_entropy_statistics<float>;
ASHLAR_INSTANCE decltype(cross_entropy_merge<float>) cross_entropy_merge<float>;
ASHLAR_INSTANCES(cross_entropy_backward);
ASHLAR_INSTANCES(add);
ASHLAR_INSTANCES(cast, float);
ASHLAR_INSTANCE decltype(cast<bf16, float>) cast<bf16, float>;
ASHLAR_INSTANCES(scale_rows);
ASHLAR_INSTANCE decltype(sum<float>) sum<float>;
ASHLAR_INSTANCES(count_non_finite);
ASHLAR_INSTANCES(embedding);
ASHLAR_INSTANCES(embedding_backward);
ASHLAR_INSTANCE decltype(sum_of_squares<float>) sum_of_squares<float>;
ASHLAR_INSTANCE decltype(clip_scale<float>) clip_scale<float>;
ASHLAR_INSTANCES(grouped_gemm);
ASHLAR_INSTANCES(grouped_gemm_input_gradient);
ASHLAR_INSTANCES(grouped_gemm_weight_gradient);
ASHLAR_INSTANCES(move_heads);
ASHLAR_INSTANCES(modulate);
ASHLAR_INSTANCES(modulate_backward);
ASHLAR_INSTANCES(add_gated);
ASHLAR_INSTANCES(add_gated_backward);
ASHLAR_INSTANCES(squared_error);
ASHLAR_INSTANCE decltype(update_expert_bias<float>) update_expert_bias<float>;
ASHLAR_INSTANCE decltype(product<float, float>) product<float, float>;
ASHLAR_INSTANCE decltype(product<bf16, bf16>) product<bf16, bf16>;
ASHLAR_INSTANCE decltype(product<bf16, float>) product<bf16, float>;
ASHLAR_INSTANCE decltype(product<double, double>) product<double, double>;
ASHLAR_INSTANCE decltype(matmul<float, float>) matmul<float, float>;
ASHLAR_INSTANCE decltype(matmul<bf16, bf16>) matmul<bf16, bf16>;
ASHLAR_INSTANCE decltype(matmul<bf16, float>) matmul<bf16, float>;
ASHLAR_INSTANCES(permute);
ASHLAR_INSTANCES(permute_backward);
ASHLAR_INSTANCES(unpermute);
ASHLAR_INSTANCES(unpermute_backward);
ASHLAR_INSTANCES(rms_norm);
ASHLAR_INSTANCES(rms_norm_backward);
ASHLAR_INSTANCES(rope);
ASHLAR_INSTANCE decltype(balance_loss_backward<float>) balance_loss_backward<float>;
ASHLAR_INSTANCE decltype(top_k_router<float>) top_k_router<float>;
ASHLAR_INSTANCE decltype(top_k_router_backward<float>) top_k_router_backward<float>;
ASHLAR_INSTANCES(swiglu);
ASHLAR_INSTANCES(swiglu_backward);

}  // namespace ashlar::inline v0::ops::cpu
