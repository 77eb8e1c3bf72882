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

ASHLAR_INSTANCE decltype(adamw<float>) adamw<float>;
ASHLAR_INSTANCE decltype(adamw<bf16>) adamw<bf16>;
ASHLAR_INSTANCE decltype(attention<Causal, float>) attention<Causal, float>;
ASHLAR_INSTANCE decltype(attention<Causal, bf16>) attention<Causal, bf16>;
ASHLAR_INSTANCE decltype(attention<BlockCausal, float>) attention<BlockCausal, float>;
ASHLAR_INSTANCE decltype(attention<BlockCausal, bf16>) attention<BlockCausal, bf16>;
ASHLAR_INSTANCE decltype(attention<Bidirectional, float>) attention<Bidirectional, float>;
ASHLAR_INSTANCE decltype(attention<Bidirectional, bf16>) attention<Bidirectional, bf16>;
ASHLAR_INSTANCE decltype(attention<Chunked<Causal>, float>) attention<Chunked<Causal>, float>;
ASHLAR_INSTANCE decltype(attention<Chunked<Causal>, bf16>) attention<Chunked<Causal>, bf16>;
ASHLAR_INSTANCE decltype(attention<Chunked<BlockCausal>, float>) attention<Chunked<BlockCausal>, float>;
ASHLAR_INSTANCE decltype(attention<Chunked<BlockCausal>, bf16>) attention<Chunked<BlockCausal>, bf16>;
ASHLAR_INSTANCE decltype(attention_backward<Causal, float>) attention_backward<Causal, float>;
ASHLAR_INSTANCE decltype(attention_backward<Causal, bf16>) attention_backward<Causal, bf16>;
ASHLAR_INSTANCE decltype(attention_backward<BlockCausal, float>) attention_backward<BlockCausal, float>;
ASHLAR_INSTANCE decltype(attention_backward<BlockCausal, bf16>) attention_backward<BlockCausal, bf16>;
ASHLAR_INSTANCE decltype(attention_backward<Bidirectional, float>) attention_backward<Bidirectional, float>;
ASHLAR_INSTANCE decltype(attention_backward<Bidirectional, bf16>) attention_backward<Bidirectional, bf16>;
ASHLAR_INSTANCE decltype(attention_backward<Chunked<Causal>, float>) attention_backward<Chunked<Causal>, float>;
ASHLAR_INSTANCE decltype(attention_backward<Chunked<Causal>, bf16>) attention_backward<Chunked<Causal>, bf16>;
ASHLAR_INSTANCE decltype(attention_backward<Chunked<BlockCausal>, float>)
    attention_backward<Chunked<BlockCausal>, float>;
ASHLAR_INSTANCE decltype(attention_backward<Chunked<BlockCausal>, bf16>) attention_backward<Chunked<BlockCausal>, bf16>;
ASHLAR_INSTANCE decltype(attention_delta<float>) attention_delta<float>;
ASHLAR_INSTANCE decltype(attention_delta<bf16>) attention_delta<bf16>;
ASHLAR_INSTANCE decltype(timestep_features<float>) timestep_features<float>;
ASHLAR_INSTANCE decltype(timestep_features<bf16>) timestep_features<bf16>;
ASHLAR_INSTANCE decltype(silu<float>) silu<float>;
ASHLAR_INSTANCE decltype(silu<bf16>) silu<bf16>;
ASHLAR_INSTANCE decltype(silu_backward<float>) silu_backward<float>;
ASHLAR_INSTANCE decltype(silu_backward<bf16>) silu_backward<bf16>;
ASHLAR_INSTANCE decltype(cross_entropy_statistics<float>) cross_entropy_statistics<float>;
ASHLAR_INSTANCE decltype(cross_entropy_merge<float>) cross_entropy_merge<float>;
ASHLAR_INSTANCE decltype(cross_entropy_backward<float>) cross_entropy_backward<float>;
ASHLAR_INSTANCE decltype(cross_entropy_backward<bf16>) cross_entropy_backward<bf16>;
ASHLAR_INSTANCE decltype(add<float>) add<float>;
ASHLAR_INSTANCE decltype(add<bf16>) add<bf16>;
ASHLAR_INSTANCE decltype(cast<float, float>) cast<float, float>;
ASHLAR_INSTANCE decltype(cast<float, bf16>) cast<float, bf16>;
ASHLAR_INSTANCE decltype(cast<bf16, float>) cast<bf16, float>;
ASHLAR_INSTANCE decltype(scale_rows<float>) scale_rows<float>;
ASHLAR_INSTANCE decltype(scale_rows<bf16>) scale_rows<bf16>;
ASHLAR_INSTANCE decltype(sum<float>) sum<float>;
ASHLAR_INSTANCE decltype(count_non_finite<float>) count_non_finite<float>;
ASHLAR_INSTANCE decltype(count_non_finite<bf16>) count_non_finite<bf16>;
ASHLAR_INSTANCE decltype(embedding<float>) embedding<float>;
ASHLAR_INSTANCE decltype(embedding<bf16>) embedding<bf16>;
ASHLAR_INSTANCE decltype(embedding_backward<float>) embedding_backward<float>;
ASHLAR_INSTANCE decltype(embedding_backward<bf16>) embedding_backward<bf16>;
ASHLAR_INSTANCE decltype(sum_of_squares<float>) sum_of_squares<float>;
ASHLAR_INSTANCE decltype(clip_scale<float>) clip_scale<float>;
ASHLAR_INSTANCE decltype(grouped_gemm<float>) grouped_gemm<float>;
ASHLAR_INSTANCE decltype(grouped_gemm<bf16>) grouped_gemm<bf16>;
ASHLAR_INSTANCE decltype(grouped_gemm_input_gradient<float>) grouped_gemm_input_gradient<float>;
ASHLAR_INSTANCE decltype(grouped_gemm_input_gradient<bf16>) grouped_gemm_input_gradient<bf16>;
ASHLAR_INSTANCE decltype(grouped_gemm_weight_gradient<float>) grouped_gemm_weight_gradient<float>;
ASHLAR_INSTANCE decltype(grouped_gemm_weight_gradient<bf16>) grouped_gemm_weight_gradient<bf16>;
ASHLAR_INSTANCE decltype(move_heads<float>) move_heads<float>;
ASHLAR_INSTANCE decltype(move_heads<bf16>) move_heads<bf16>;
ASHLAR_INSTANCE decltype(modulate<float>) modulate<float>;
ASHLAR_INSTANCE decltype(modulate<bf16>) modulate<bf16>;
ASHLAR_INSTANCE decltype(modulate_backward<float>) modulate_backward<float>;
ASHLAR_INSTANCE decltype(modulate_backward<bf16>) modulate_backward<bf16>;
ASHLAR_INSTANCE decltype(add_gated<float>) add_gated<float>;
ASHLAR_INSTANCE decltype(add_gated<bf16>) add_gated<bf16>;
ASHLAR_INSTANCE decltype(add_gated_backward<float>) add_gated_backward<float>;
ASHLAR_INSTANCE decltype(add_gated_backward<bf16>) add_gated_backward<bf16>;
ASHLAR_INSTANCE decltype(squared_error<float>) squared_error<float>;
ASHLAR_INSTANCE decltype(squared_error<bf16>) squared_error<bf16>;
ASHLAR_INSTANCE decltype(update_expert_bias<float>) update_expert_bias<float>;
ASHLAR_INSTANCE decltype(product<float, float>) product<float, float>;
ASHLAR_INSTANCE decltype(product<bf16, bf16>) product<bf16, bf16>;
ASHLAR_INSTANCE decltype(product<bf16, float>) product<bf16, float>;
ASHLAR_INSTANCE decltype(product<double, double>) product<double, double>;
ASHLAR_INSTANCE decltype(matmul<float, float>) matmul<float, float>;
ASHLAR_INSTANCE decltype(matmul<bf16, bf16>) matmul<bf16, bf16>;
ASHLAR_INSTANCE decltype(matmul<bf16, float>) matmul<bf16, float>;
ASHLAR_INSTANCE decltype(permute<float>) permute<float>;
ASHLAR_INSTANCE decltype(permute<bf16>) permute<bf16>;
ASHLAR_INSTANCE decltype(permute_backward<float>) permute_backward<float>;
ASHLAR_INSTANCE decltype(permute_backward<bf16>) permute_backward<bf16>;
ASHLAR_INSTANCE decltype(unpermute<float>) unpermute<float>;
ASHLAR_INSTANCE decltype(unpermute<bf16>) unpermute<bf16>;
ASHLAR_INSTANCE decltype(unpermute_backward<float>) unpermute_backward<float>;
ASHLAR_INSTANCE decltype(unpermute_backward<bf16>) unpermute_backward<bf16>;
ASHLAR_INSTANCE decltype(rms_norm<float>) rms_norm<float>;
ASHLAR_INSTANCE decltype(rms_norm<bf16>) rms_norm<bf16>;
ASHLAR_INSTANCE decltype(rms_norm_backward<float>) rms_norm_backward<float>;
ASHLAR_INSTANCE decltype(rms_norm_backward<bf16>) rms_norm_backward<bf16>;
ASHLAR_INSTANCE decltype(rope<float>) rope<float>;
ASHLAR_INSTANCE decltype(rope<bf16>) rope<bf16>;
ASHLAR_INSTANCE decltype(balance_loss_backward<float>) balance_loss_backward<float>;
ASHLAR_INSTANCE decltype(top_k_router<float>) top_k_router<float>;
ASHLAR_INSTANCE decltype(top_k_router_backward<float>) top_k_router_backward<float>;
ASHLAR_INSTANCE decltype(swiglu<float>) swiglu<float>;
ASHLAR_INSTANCE decltype(swiglu<bf16>) swiglu<bf16>;
ASHLAR_INSTANCE decltype(swiglu_backward<float>) swiglu_backward<float>;
ASHLAR_INSTANCE decltype(swiglu_backward<bf16>) swiglu_backward<bf16>;

}  // namespace ashlar::inline v0::ops::cpu
