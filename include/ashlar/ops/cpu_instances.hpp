// The kernels of the Cpu device in float and bf16, compiled once (see ashlar/instances.hpp). A mask of the user's own
// is compiled with the program that has it. Read next: ops/rms_norm/cpu.hpp.
#pragma once

#include "ashlar/ops/adamw/cpu.hpp"
#include "ashlar/ops/attention/cpu.hpp"
#include "ashlar/ops/attention/cpu_backward.hpp"
#include "ashlar/ops/attention/mask.hpp"
#include "ashlar/ops/cross_entropy/cpu.hpp"
#include "ashlar/ops/elementwise/cpu.hpp"
#include "ashlar/ops/embedding/cpu.hpp"
#include "ashlar/ops/gradient_norm/cpu.hpp"
#include "ashlar/ops/grouped_gemm/cpu.hpp"
#include "ashlar/ops/load_balance/cpu.hpp"
#include "ashlar/ops/matmul/cpu.hpp"
#include "ashlar/ops/permutation/cpu.hpp"
#include "ashlar/ops/rms_norm/cpu.hpp"
#include "ashlar/ops/rope/cpu.hpp"
#include "ashlar/ops/router/cpu.hpp"
#include "ashlar/ops/swiglu/cpu.hpp"

namespace ashlar::inline v0::ops::cpu {

ASHLAR_INSTANCE void adamw<float>(const AdamWStep& step, TensorView<const float, Cpu> gradient_scale,
                                  TensorView<const float, Cpu> gradient, TensorView<float, Cpu> parameter,
                                  TensorView<float, Cpu> exp_avg, TensorView<float, Cpu> exp_avg_sq,
                                  TensorView<float, Cpu> compute_copy);
ASHLAR_INSTANCE void adamw<bf16>(const AdamWStep& step, TensorView<const float, Cpu> gradient_scale,
                                 TensorView<const float, Cpu> gradient, TensorView<float, Cpu> parameter,
                                 TensorView<float, Cpu> exp_avg, TensorView<float, Cpu> exp_avg_sq,
                                 TensorView<bf16, Cpu> compute_copy);
ASHLAR_INSTANCE void attention<Causal, float>(const AttentionShape& s, const Causal::State& mask,
                                              TensorView<const float, Cpu> query, TensorView<const float, Cpu> key,
                                              TensorView<const float, Cpu> value, TensorView<float, Cpu> out,
                                              TensorView<float, Cpu> lse);
ASHLAR_INSTANCE void attention<Causal, bf16>(const AttentionShape& s, const Causal::State& mask,
                                             TensorView<const bf16, Cpu> query, TensorView<const bf16, Cpu> key,
                                             TensorView<const bf16, Cpu> value, TensorView<bf16, Cpu> out,
                                             TensorView<float, Cpu> lse);
ASHLAR_INSTANCE void attention<BlockCausal, float>(const AttentionShape& s, const BlockCausal::State& mask,
                                                   TensorView<const float, Cpu> query, TensorView<const float, Cpu> key,
                                                   TensorView<const float, Cpu> value, TensorView<float, Cpu> out,
                                                   TensorView<float, Cpu> lse);
ASHLAR_INSTANCE void attention<BlockCausal, bf16>(const AttentionShape& s, const BlockCausal::State& mask,
                                                  TensorView<const bf16, Cpu> query, TensorView<const bf16, Cpu> key,
                                                  TensorView<const bf16, Cpu> value, TensorView<bf16, Cpu> out,
                                                  TensorView<float, Cpu> lse);
ASHLAR_INSTANCE void attention_backward<Causal, float>(
    const AttentionShape& s, const Causal::State& mask, TensorView<const float, Cpu> query,
    TensorView<const float, Cpu> key, TensorView<const float, Cpu> value, TensorView<const float, Cpu> out,
    TensorView<const float, Cpu> lse, TensorView<const float, Cpu> dout, TensorView<float, Cpu> dquery,
    TensorView<float, Cpu> dkey, TensorView<float, Cpu> dvalue, TensorView<float, Cpu>);
ASHLAR_INSTANCE void attention_backward<Causal, bf16>(
    const AttentionShape& s, const Causal::State& mask, TensorView<const bf16, Cpu> query,
    TensorView<const bf16, Cpu> key, TensorView<const bf16, Cpu> value, TensorView<const bf16, Cpu> out,
    TensorView<const float, Cpu> lse, TensorView<const bf16, Cpu> dout, TensorView<bf16, Cpu> dquery,
    TensorView<bf16, Cpu> dkey, TensorView<bf16, Cpu> dvalue, TensorView<float, Cpu>);
ASHLAR_INSTANCE void attention_backward<BlockCausal, float>(
    const AttentionShape& s, const BlockCausal::State& mask, TensorView<const float, Cpu> query,
    TensorView<const float, Cpu> key, TensorView<const float, Cpu> value, TensorView<const float, Cpu> out,
    TensorView<const float, Cpu> lse, TensorView<const float, Cpu> dout, TensorView<float, Cpu> dquery,
    TensorView<float, Cpu> dkey, TensorView<float, Cpu> dvalue, TensorView<float, Cpu>);
ASHLAR_INSTANCE void attention_backward<BlockCausal, bf16>(
    const AttentionShape& s, const BlockCausal::State& mask, TensorView<const bf16, Cpu> query,
    TensorView<const bf16, Cpu> key, TensorView<const bf16, Cpu> value, TensorView<const bf16, Cpu> out,
    TensorView<const float, Cpu> lse, TensorView<const bf16, Cpu> dout, TensorView<bf16, Cpu> dquery,
    TensorView<bf16, Cpu> dkey, TensorView<bf16, Cpu> dvalue, TensorView<float, Cpu>);
ASHLAR_INSTANCE void cross_entropy_statistics<float>(TensorView<const float, Cpu> logits,
                                                     TensorView<const std::int32_t, Cpu> targets, index_t first_id,
                                                     TensorView<float, Cpu> statistics);
ASHLAR_INSTANCE void cross_entropy_merge<float>(TensorView<const float, Cpu> shards, TensorView<float, Cpu> statistics);
ASHLAR_INSTANCE void cross_entropy_backward<float>(TensorView<const float, Cpu> logits,
                                                   TensorView<const std::int32_t, Cpu> targets, index_t first_id,
                                                   TensorView<const float, Cpu> statistics, double scale,
                                                   TensorView<float, Cpu> dlogits, TensorView<float, Cpu> loss);
ASHLAR_INSTANCE void cross_entropy_backward<bf16>(TensorView<const float, Cpu> logits,
                                                  TensorView<const std::int32_t, Cpu> targets, index_t first_id,
                                                  TensorView<const float, Cpu> statistics, double scale,
                                                  TensorView<bf16, Cpu> dlogits, TensorView<float, Cpu> loss);
ASHLAR_INSTANCE void add<float>(TensorView<const float, Cpu> a, TensorView<const float, Cpu> b,
                                TensorView<float, Cpu> out);
ASHLAR_INSTANCE void add<bf16>(TensorView<const bf16, Cpu> a, TensorView<const bf16, Cpu> b, TensorView<bf16, Cpu> out);
ASHLAR_INSTANCE void cast<float, bf16>(TensorView<const float, Cpu> x, TensorView<bf16, Cpu> out);
ASHLAR_INSTANCE void cast<bf16, float>(TensorView<const bf16, Cpu> x, TensorView<float, Cpu> out);
ASHLAR_INSTANCE void sum<float>(TensorView<const float, Cpu> x, TensorView<double, Cpu> total);
ASHLAR_INSTANCE void count_non_finite<float>(TensorView<const float, Cpu> x, TensorView<std::int32_t, Cpu> count);
ASHLAR_INSTANCE void count_non_finite<bf16>(TensorView<const bf16, Cpu> x, TensorView<std::int32_t, Cpu> count);
ASHLAR_INSTANCE void embedding<float>(TensorView<const std::int32_t, Cpu> ids, TensorView<const float, Cpu> table,
                                      index_t first_id, TensorView<float, Cpu> out);
ASHLAR_INSTANCE void embedding<bf16>(TensorView<const std::int32_t, Cpu> ids, TensorView<const bf16, Cpu> table,
                                     index_t first_id, TensorView<bf16, Cpu> out);
ASHLAR_INSTANCE void embedding_backward<float>(TensorView<const std::int32_t, Cpu> ids, TensorView<const float, Cpu> dy,
                                               index_t first_id, TensorView<float, Cpu> dtable);
ASHLAR_INSTANCE void embedding_backward<bf16>(TensorView<const std::int32_t, Cpu> ids, TensorView<const bf16, Cpu> dy,
                                              index_t first_id, TensorView<float, Cpu> dtable);
ASHLAR_INSTANCE void sum_of_squares<float>(TensorView<const float, Cpu> x, TensorView<double, Cpu> sum);
ASHLAR_INSTANCE void clip_scale<float>(TensorView<const double, Cpu> sum_of_squares, double max_norm,
                                       TensorView<float, Cpu> norm_and_scale);
ASHLAR_INSTANCE void grouped_gemm<float>(TensorView<const float, Cpu> x, TensorView<const float, Cpu> w,
                                         TensorView<const std::int32_t, Cpu> offsets, TensorView<float, Cpu> y);
ASHLAR_INSTANCE void grouped_gemm<bf16>(TensorView<const bf16, Cpu> x, TensorView<const bf16, Cpu> w,
                                        TensorView<const std::int32_t, Cpu> offsets, TensorView<bf16, Cpu> y);
ASHLAR_INSTANCE void grouped_gemm_input_gradient<float>(TensorView<const float, Cpu> dy, TensorView<const float, Cpu> w,
                                                        TensorView<const std::int32_t, Cpu> offsets,
                                                        TensorView<float, Cpu> dx, bool accumulate);
ASHLAR_INSTANCE void grouped_gemm_input_gradient<bf16>(TensorView<const bf16, Cpu> dy, TensorView<const bf16, Cpu> w,
                                                       TensorView<const std::int32_t, Cpu> offsets,
                                                       TensorView<bf16, Cpu> dx, bool accumulate);
ASHLAR_INSTANCE void grouped_gemm_weight_gradient<float>(TensorView<const float, Cpu> dy,
                                                         TensorView<const float, Cpu> x,
                                                         TensorView<const std::int32_t, Cpu> offsets,
                                                         TensorView<float, Cpu> dw);
ASHLAR_INSTANCE void grouped_gemm_weight_gradient<bf16>(TensorView<const bf16, Cpu> dy, TensorView<const bf16, Cpu> x,
                                                        TensorView<const std::int32_t, Cpu> offsets,
                                                        TensorView<float, Cpu> dw);
ASHLAR_INSTANCE void update_expert_bias<float>(TensorView<std::int32_t, Cpu> counts, double coefficient,
                                               TensorView<float, Cpu> bias);
ASHLAR_INSTANCE void product<float, float>(const Product<float, float>& p);
ASHLAR_INSTANCE void product<bf16, bf16>(const Product<bf16, bf16>& p);
ASHLAR_INSTANCE void product<bf16, float>(const Product<bf16, float>& p);
ASHLAR_INSTANCE void product<double, double>(const Product<double, double>& p);
ASHLAR_INSTANCE void matmul<float, float>(TensorView<const float, Cpu> a, Transpose ta, TensorView<const float, Cpu> b,
                                          Transpose tb, TensorView<float, Cpu> c, double beta);
ASHLAR_INSTANCE void matmul<bf16, bf16>(TensorView<const bf16, Cpu> a, Transpose ta, TensorView<const bf16, Cpu> b,
                                        Transpose tb, TensorView<bf16, Cpu> c, double beta);
ASHLAR_INSTANCE void matmul<bf16, float>(TensorView<const bf16, Cpu> a, Transpose ta, TensorView<const bf16, Cpu> b,
                                         Transpose tb, TensorView<float, Cpu> c, double beta);
ASHLAR_INSTANCE void sort_by_expert<>(TensorView<const std::int32_t, Cpu> experts,
                                      TensorView<std::int32_t, Cpu> position, TensorView<std::int32_t, Cpu> source,
                                      TensorView<std::int32_t, Cpu> offsets);
ASHLAR_INSTANCE void sort_received<>(TensorView<const std::int32_t, Cpu> counts, TensorView<std::int32_t, Cpu> position,
                                     TensorView<std::int32_t, Cpu> source, TensorView<std::int32_t, Cpu> offsets);
ASHLAR_INSTANCE void permute<float>(TensorView<const float, Cpu> x, TensorView<const std::int32_t, Cpu> source,
                                    index_t top_k, TensorView<float, Cpu> out);
ASHLAR_INSTANCE void permute<bf16>(TensorView<const bf16, Cpu> x, TensorView<const std::int32_t, Cpu> source,
                                   index_t top_k, TensorView<bf16, Cpu> out);
ASHLAR_INSTANCE void permute_backward<float>(TensorView<const float, Cpu> dout,
                                             TensorView<const std::int32_t, Cpu> position, index_t top_k,
                                             TensorView<float, Cpu> dx, bool accumulate);
ASHLAR_INSTANCE void permute_backward<bf16>(TensorView<const bf16, Cpu> dout,
                                            TensorView<const std::int32_t, Cpu> position, index_t top_k,
                                            TensorView<bf16, Cpu> dx, bool accumulate);
ASHLAR_INSTANCE void unpermute<float>(TensorView<const float, Cpu> in, TensorView<const std::int32_t, Cpu> position,
                                      TensorView<const float, Cpu> weights, TensorView<float, Cpu> out,
                                      bool accumulate);
ASHLAR_INSTANCE void unpermute<bf16>(TensorView<const bf16, Cpu> in, TensorView<const std::int32_t, Cpu> position,
                                     TensorView<const float, Cpu> weights, TensorView<bf16, Cpu> out, bool accumulate);
ASHLAR_INSTANCE void unpermute_backward<float>(TensorView<const float, Cpu> dy, TensorView<const float, Cpu> in,
                                               TensorView<const std::int32_t, Cpu> position,
                                               TensorView<const float, Cpu> weights, TensorView<float, Cpu> din,
                                               TensorView<float, Cpu> dweights);
ASHLAR_INSTANCE void unpermute_backward<bf16>(TensorView<const bf16, Cpu> dy, TensorView<const bf16, Cpu> in,
                                              TensorView<const std::int32_t, Cpu> position,
                                              TensorView<const float, Cpu> weights, TensorView<bf16, Cpu> din,
                                              TensorView<float, Cpu> dweights);
ASHLAR_INSTANCE void rms_norm<float>(TensorView<const float, Cpu> x, TensorView<const float, Cpu> residual,
                                     TensorView<const float, Cpu> weight, double eps, TensorView<float, Cpu> h,
                                     TensorView<float, Cpu> y, TensorView<float, Cpu> rstd);
ASHLAR_INSTANCE void rms_norm<bf16>(TensorView<const bf16, Cpu> x, TensorView<const bf16, Cpu> residual,
                                    TensorView<const bf16, Cpu> weight, double eps, TensorView<bf16, Cpu> h,
                                    TensorView<bf16, Cpu> y, TensorView<float, Cpu> rstd);
ASHLAR_INSTANCE void rms_norm_backward<float>(TensorView<const float, Cpu> dy, TensorView<const float, Cpu> h,
                                              TensorView<const float, Cpu> weight, TensorView<const float, Cpu> rstd,
                                              TensorView<float, Cpu> dx, bool accumulate,
                                              TensorView<float, Cpu> dweight);
ASHLAR_INSTANCE void rms_norm_backward<bf16>(TensorView<const bf16, Cpu> dy, TensorView<const bf16, Cpu> h,
                                             TensorView<const bf16, Cpu> weight, TensorView<const float, Cpu> rstd,
                                             TensorView<bf16, Cpu> dx, bool accumulate, TensorView<float, Cpu> dweight);
ASHLAR_INSTANCE void rope<float>(TensorView<float, Cpu> x, index_t head_dim, index_t seq_len, index_t offset,
                                 TensorView<const float, Cpu> table, bool backward);
ASHLAR_INSTANCE void rope<bf16>(TensorView<bf16, Cpu> x, index_t head_dim, index_t seq_len, index_t offset,
                                TensorView<const float, Cpu> table, bool backward);
ASHLAR_INSTANCE void top_k_router<float>(const RouterOptions& options, TensorView<const float, Cpu> logits,
                                         TensorView<const float, Cpu> bias, TensorView<float, Cpu> probabilities,
                                         TensorView<std::int32_t, Cpu> experts, TensorView<float, Cpu> weights,
                                         TensorView<std::int32_t, Cpu> counts);
ASHLAR_INSTANCE void top_k_router_backward<float>(const RouterOptions& options,
                                                  TensorView<const float, Cpu> probabilities,
                                                  TensorView<const std::int32_t, Cpu> experts,
                                                  TensorView<const float, Cpu> dweights,
                                                  TensorView<float, Cpu> dlogits);
ASHLAR_INSTANCE void swiglu<float>(TensorView<const float, Cpu> gate, TensorView<const float, Cpu> up,
                                   TensorView<float, Cpu> h);
ASHLAR_INSTANCE void swiglu<bf16>(TensorView<const bf16, Cpu> gate, TensorView<const bf16, Cpu> up,
                                  TensorView<bf16, Cpu> h);
ASHLAR_INSTANCE void swiglu_backward<float>(TensorView<const float, Cpu> dh, TensorView<const float, Cpu> gate,
                                            TensorView<const float, Cpu> up, TensorView<float, Cpu> dgate,
                                            TensorView<float, Cpu> dup);
ASHLAR_INSTANCE void swiglu_backward<bf16>(TensorView<const bf16, Cpu> dh, TensorView<const bf16, Cpu> gate,
                                           TensorView<const bf16, Cpu> up, TensorView<bf16, Cpu> dgate,
                                           TensorView<bf16, Cpu> dup);

}  // namespace ashlar::inline v0::ops::cpu
