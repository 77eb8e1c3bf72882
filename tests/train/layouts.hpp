// The tiny models and the layouts that equivalence is held on: every legal layout of 1, 2, 4 and 8 ranks.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "ashlar/data/random_tokens.hpp"
#include "ashlar/models/deepseek_v3/deepseek_v3.hpp"
#include "ashlar/models/llama4/llama4.hpp"
#include "ashlar/models/qwen3/qwen3.hpp"
#include "ashlar/models/transformer.hpp"
#include "ashlar/train/trainer.hpp"

namespace equivalence {
using namespace ashlar;

struct TinyDense : DecoderFamily<> {
  static constexpr std::string_view name = "tiny_dense";
  static std::span<const Flavor<Sizes>> flavors() {
    static constexpr Flavor<Sizes> all[] = {
        {"debugmodel",
         {.dim = 32, .num_layers = 6, .num_heads = 8, .num_kv_heads = 8, .vocab_size = 32, .hidden_dim = 48}}};
    return all;
  }
};
template <class D>
struct Dense : Recipe<Family<TinyDense>, Attn<Flex<BlockCausal>>, Parallel<ddp * fsdp * tp * pp>,
                      ActivationCheckpoint<None, Selective, Full>, Precision<F64, F32, Bf16>, On<D>> {};

struct TinyMoe : DecoderFamily<> {
  static constexpr std::string_view name = "tiny_moe";
  static std::span<const Flavor<Sizes>> flavors() {
    static constexpr Flavor<Sizes> all[] = {
        {"debugmodel",
         {.dim = 32,
          .num_layers = 3,
          .num_heads = 4,
          .num_kv_heads = 2,
          .vocab_size = 32,
          .hidden_dim = 48,
          .num_dense_layers = 1,
          .moe = {.num_experts = 8, .top_k = 2, .hidden_dim = 16, .num_shared_experts = 1, .route_norm = true}}}};
    return all;
  }
};
template <class D>
struct Experts : Recipe<Family<TinyMoe>, Ffn<MoE<TopK<Sigmoid>>>, Parallel<fsdp * tp * ep>,
                        ActivationCheckpoint<None, Selective, Full>, Precision<F64, F32, Bf16>, On<D>> {};

/// Llama 4: two attentions and two feed-forwards, by its table; norms, scales and weights before experts.
struct TinyAlternating : Llama4 {
  static constexpr std::string_view name = "tiny_alternating";
  static std::span<const Flavor<Sizes>> flavors() {
    static const Flavor<Sizes> all[] = {{"debugmodel", [] {
                                           Sizes s;
                                           s.dim = 32;
                                           s.num_layers = 4;
                                           s.num_heads = 4;
                                           s.num_kv_heads = 2;
                                           s.vocab_size = 32;
                                           s.hidden_dim = 48;
                                           s.moe = {4, 2, 16, 1};
                                           s.moe.score_before_experts = true;
                                           s.attention_chunk = 3;
                                           s.length_norm = true;
                                           s.query_scale_interval = 3;
                                           s.rope_scaling = {RopeScaling::Kind::llama3, 4, 4};
                                           return s;
                                         }()}};
    return all;
  }
};
/// DeepSeek-V3: latent attention with YaRN, a dense layer before experts in groups.
struct TinyLatent : DeepSeekV3 {
  static constexpr std::string_view name = "tiny_latent";
  static std::span<const Flavor<Sizes>> flavors() {
    static const Flavor<Sizes> all[] = {{"debugmodel", [] {
                                           Sizes s;
                                           s.dim = 32;
                                           s.num_layers = 4;
                                           s.num_heads = s.num_kv_heads = 4;
                                           s.vocab_size = 32;
                                           s.hidden_dim = 48;
                                           s.num_dense_layers = 1;
                                           s.moe = {8, 2, 16, 1, true, 2.5};
                                           s.moe.num_groups = 4;
                                           s.moe.group_limit = 2;
                                           s.query_rank = 12;
                                           s.key_value_rank = 8;
                                           s.nope_dim = s.rope_dim = 4;
                                           s.value_dim = 6;
                                           s.rope_scaling = {RopeScaling::Kind::yarn, 4, 4};
                                           s.rope_scaling.mscale = s.rope_scaling.mscale_all_dim = 1;
                                           return s;
                                         }()}};
    return all;
  }
};
/// Qwen3: norms of heads, halves that turn together, heads that do not fill dim; a dense layer, and experts under a
/// balance loss.
struct TinyNormed : Qwen3 {
  static constexpr std::string_view name = "tiny_normed";
  static std::span<const Flavor<Sizes>> flavors() {
    static const Flavor<Sizes> all[] = {{"debugmodel", [] {
                                           Sizes s;
                                           s.dim = 32;
                                           s.num_layers = 4;
                                           s.num_heads = 4;
                                           s.num_kv_heads = 2;
                                           s.vocab_size = 32;
                                           s.hidden_dim = 48;
                                           s.head_dim = 12;
                                           s.num_dense_layers = 1;
                                           s.moe = {4, 2, 16, 0, true, 1, 0};
                                           s.moe.balance_loss_coeff = 0.1;
                                           return s;
                                         }()}};
    return all;
  }
};
template <class F, Strategies S>
struct OfFamily : Recipe<Family<F>, Parallel<S>, ActivationCheckpoint<None, Selective, Full>, Precision<F64>> {};

/// Random tokens with documents: token 0 ends one.
class Documents final : public TokenSource {
 public:
  void read(std::int64_t row, std::span<std::int32_t> tokens) const override { random_.read(row, tokens); }
  std::int32_t end_of_document() const override { return 0; }
  index_t vocab_size() const override { return random_.vocab_size(); }

 private:
  RandomTokens random_{7, 24};
};

inline Config base_config() {
  Config c;
  c.training.seq_len = 8;
  c.training.global_batch_size = 8;
  c.training.local_batch_size = 8;
  c.training.steps = 5;
  c.lr_scheduler.warmup_steps = 2;
  c.optimizer.lr = 1e-2;
  return c;
}

struct Layout {
  int ranks;
  Config config;
};

/// ddp, fsdp, tp and pp. With more pipeline stages than layers (ZBV on 8) a layout is not legal, and Trainer says so.
inline std::vector<Layout> dense_layouts() {
  std::vector<Layout> all;
  const auto add = [&](int n, int pipeline, int replicate, int shard, int tensor, const char* schedule,
                       const char* mode) {
    Config c = base_config();
    ParallelismConfig& p = c.parallelism;
    p.pipeline_parallel_degree = pipeline;
    p.data_parallel_replicate_degree = replicate;
    p.data_parallel_shard_degree = shard;
    p.tensor_parallel_degree = tensor;
    p.pipeline_parallel_schedule = schedule;
    c.activation_checkpoint.mode = mode;
    // Two micro-batches (gradient accumulation) where there are rows enough.
    const int rows = 8 / (replicate * shard);
    c.training.local_batch_size = pipeline > 1 ? rows : std::max(1, rows / 2);
    all.push_back({n, c});
  };
  for (const char* mode : {"none", "selective", "full"}) add(1, 1, 1, 1, 1, "1F1B", mode);
  for (int n : {2, 4, 8})
    for (int pipeline = 1; pipeline <= n; pipeline *= 2)
      for (int replicate = 1; pipeline * replicate <= n; replicate *= 2)
        for (int shard = 1; pipeline * replicate * shard <= n; shard *= 2) {
          const int tensor = n / (pipeline * replicate * shard);
          if (pipeline == 1) {
            add(n, pipeline, replicate, shard, tensor, "1F1B", "none");
            if (n == 4) add(n, pipeline, replicate, shard, tensor, "1F1B", "selective");
            if (n == 4) add(n, pipeline, replicate, shard, tensor, "1F1B", "full");
          } else {
            for (const char* schedule : {"GPipe", "1F1B", "ZBVZeroBubble"})
              add(n, pipeline, replicate, shard, tensor, schedule, "none");
            if (n == 4) add(n, pipeline, replicate, shard, tensor, "ZBVZeroBubble", "selective");
            if (n == 4) add(n, pipeline, replicate, shard, tensor, "ZBVZeroBubble", "full");
          }
        }
  for (const char* reshard : {"never", "always"}) {
    add(4, 1, 1, 4, 1, "1F1B", "none");
    all.back().config.parallelism.fsdp_reshard_after_forward = reshard;
    add(4, 2, 1, 2, 1, "1F1B", "none");
    all.back().config.parallelism.fsdp_reshard_after_forward = reshard;
  }
  return all;
}

/// fsdp and ep, and with tp, where each rank of tp routes the tokens that it holds.
inline std::vector<Layout> expert_layouts() {
  std::vector<Layout> all;
  for (int n : {1, 2, 4, 8})
    for (int expert = 1; expert <= n; expert *= 2)
      for (int tensor = 1; tensor <= std::min(n, 2); tensor *= 2)
        for (const char* mode : {"none", "selective", "full"}) {
          if (n == 8 && std::string(mode) != "none") continue;
          Config c = base_config();
          c.parallelism.expert_parallel_degree = expert;
          c.parallelism.tensor_parallel_degree = tensor;
          c.parallelism.data_parallel_shard_degree = n / tensor;
          c.activation_checkpoint.mode = mode;
          c.training.local_batch_size = std::max(1, 8 * tensor / n / 2);
          all.push_back({n, c});
        }
  return all;
}

/// A sample over every axis and every way of keeping, for families whose attention or table is of another kind.
inline std::vector<Layout> sampled_layouts(bool experts) {
  std::vector<Layout> all;
  const auto add = [&](int pipeline, int replicate, int shard, int tensor, int expert, const char* schedule,
                       const char* mode) {
    Config c = base_config();
    ParallelismConfig& p = c.parallelism;
    p.pipeline_parallel_degree = pipeline;
    p.data_parallel_replicate_degree = replicate;
    p.data_parallel_shard_degree = shard;
    p.tensor_parallel_degree = tensor;
    p.expert_parallel_degree = expert;
    p.pipeline_parallel_schedule = schedule;
    c.activation_checkpoint.mode = mode;
    const int rows = 8 / (replicate * shard);
    c.training.local_batch_size = pipeline > 1 ? rows : std::max(1, rows / 2);
    all.push_back({pipeline * replicate * shard * tensor, c});
  };
  for (const char* mode : {"selective", "full"}) add(1, 1, 1, 1, 1, "1F1B", mode);
  add(1, 1, 1, 2, 1, "1F1B", "none");
  add(1, 1, 2, 2, 1, "1F1B", "selective");
  add(1, 2, 2, 1, 1, "1F1B", "full");
  add(2, 1, 1, 2, 1, "ZBVZeroBubble", "selective");
  add(2, 1, 2, 1, 1, "1F1B", "none");
  if (experts) {
    add(1, 1, 2, 2, 4, "1F1B", "selective");
    add(1, 2, 2, 1, 2, "1F1B", "none");
  }
  return all;
}

/// "dp_replicate 2 x tp 2".
inline std::string describe(const Config& c, int ranks) {
  const ParallelismConfig& p = c.parallelism;
  std::string out;
  const auto add = [&](int degree, const char* name) {
    if (degree > 1) out += (out.empty() ? "" : " x ") + std::string(name) + " " + std::to_string(degree);
  };
  add(p.pipeline_parallel_degree, "pp");
  add(p.data_parallel_replicate_degree, "dp_replicate");
  add(p.data_parallel_shard_degree, "dp_shard");
  add(p.tensor_parallel_degree, "tp");
  add(p.expert_parallel_degree, "ep");
  if (p.pipeline_parallel_degree > 1) out += ", " + p.pipeline_parallel_schedule;
  if (p.fsdp_reshard_after_forward != "default") out += ", reshard " + p.fsdp_reshard_after_forward;
  out += ", " + std::to_string(c.training.local_batch_size) + " rows at once";
  if (c.activation_checkpoint.mode != "none") out += ", checkpoint " + c.activation_checkpoint.mode;
  return std::to_string(ranks) + (ranks == 1 ? " rank" : " ranks: ") + out;
}

}  // namespace equivalence
