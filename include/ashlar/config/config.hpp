// What a run is told: plain structs, one a section, with the defaults. Meanings, units and checks are said once, in
// the field list that the JSON file, the flags, --help and the reference page come from.
// Read next: config/options.hpp.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ashlar/core/error.hpp"

namespace ashlar::inline v0 {

struct JobConfig {
  std::string dump_folder = "./outputs";
  std::string description = "";
};

struct ModelConfig {
  std::string flavor = "debugmodel";
};

struct TrainingConfig {
  std::string dataset = "text";
  std::string dataset_path = "";
  std::string tokenizer = "";
  int local_batch_size = 8;
  int global_batch_size = -1;
  int seq_len = 2048;
  double max_norm = 1.0;
  int steps = 10000;
  std::string mixed_precision_param = "bfloat16";
  bool unordered_sums = false;
  std::int64_t seed = 0;
};

struct ParallelismConfig {
  int data_parallel_replicate_degree = 1;
  int data_parallel_shard_degree = -1;
  std::string fsdp_reshard_after_forward = "default";
  int tensor_parallel_degree = 1;
  int pipeline_parallel_degree = 1;
  std::string pipeline_parallel_schedule = "1F1B";
  std::string pipeline_parallel_schedule_csv = "";
  int pipeline_parallel_microbatch_size = 1;
  int pipeline_parallel_first_stage_less_layers = 1;
  int pipeline_parallel_last_stage_less_layers = 1;
  int expert_parallel_degree = 1;
};

/// Parameters that the optimizer treats alike.
struct GroupOptions {
  std::string names;                        // a pattern over parameter names: * is any run of characters
  std::string rule = "";                    // empty: optimizer.name; Frozen: not trained
  double lr_factor = 1;                     // times the learning rate
  std::optional<double> weight_decay = {};  // none: optimizer.weight_decay
  bool operator==(const GroupOptions&) const = default;
};

struct OptimizerConfig {
  std::string name = "";
  double lr = 8e-4;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-8;
  double weight_decay = 0.1;
  double momentum = 0.95;
  bool nesterov = true;
  std::string adjust_lr = "original";
  std::vector<GroupOptions> groups = {};
};

struct LrSchedulerConfig {
  int warmup_steps = 200;
  std::optional<double> decay_ratio = {};
  std::string decay_type = "linear";
  double min_lr_factor = 0.0;
};

struct CheckpointConfig {
  bool enable = false;
  std::string folder = "checkpoint";
  int interval = 500;
  bool enable_first_step_checkpoint = false;
  bool last_save_model_only = false;
  std::string export_dtype = "float32";
  int keep_latest_k = 10;
  int load_step = -1;
  std::string initial_load_path = "";
  bool initial_load_model_only = true;
  std::string base_path = "";
  std::vector<std::string> exclude_from_loading = {};
};

struct MetricsConfig {
  int log_freq = 10;
};

struct ActivationCheckpointConfig {
  std::string mode = "none";
};

struct ValidationConfig {
  bool enable = false;
  int freq = 10;
  int steps = 10;
  double held_out_fraction = 0.1;
};

struct CommConfig {
  int init_timeout_seconds = 300;
  int train_timeout_seconds = 100;
};

/// Adapters of low rank, in recipes with Weights<LowRank>.
struct LoraConfig {
  int rank = 8;
  double alpha = 16;
  std::vector<std::string> targets = {"*"};
};

struct GenerateConfig {
  std::string prompt = "";
  int tokens = 200;
  double temperature = 0.8;
  int top_k = 0;
  std::int64_t seed = 0;
};

struct TokenizeConfig {
  std::string tokenizer = "";
  std::string input = "";
  std::string output = "";
  bool decode = false;
};

struct PlanConfig {
  int world_size = -1;
  bool json = false;
};

struct DebugConfig {
  std::string record = "";
  std::string compare = "";
  std::string layout = "";
  double tolerance = 0;
};

/// Everything a subcommand reads, resolved: flags over the JSON file over these defaults.
struct Config {
  JobConfig job = {};
  ModelConfig model = {};
  TrainingConfig training = {};
  ParallelismConfig parallelism = {};
  OptimizerConfig optimizer = {};
  LrSchedulerConfig lr_scheduler = {};
  CheckpointConfig checkpoint = {};
  MetricsConfig metrics = {};
  ActivationCheckpointConfig activation_checkpoint = {};
  ValidationConfig validation = {};
  CommConfig comm = {};
  LoraConfig lora = {};
  GenerateConfig generate = {};
  PlanConfig plan = {};
  DebugConfig debug = {};
  TokenizeConfig tokenize = {};
};

/// The number of ranks that `plan` works out: plan.world_size, or where that is negative the product of the degrees
/// (a data_parallel_shard_degree of -1, "whatever is left", then counts as 1). Expert parallelism borrows ranks: it
/// adds none. Throws ConfigError above 2^24: a plan lists the ranks of each group.
inline std::int64_t planned_world_size(const Config& config) {
  constexpr std::int64_t most = std::int64_t{1} << 24;
  const ParallelismConfig& p = config.parallelism;
  std::int64_t size = std::max(config.plan.world_size, 1);
  if (config.plan.world_size < 1)
    for (const std::int64_t degree : {p.data_parallel_shard_degree, p.data_parallel_replicate_degree,
                                      p.tensor_parallel_degree, p.pipeline_parallel_degree})
      if (size <= most) size *= std::max<std::int64_t>(degree, 1);  // no product of two of them overflows
  if (size > most)
    throw ConfigError(
        concat("plan works out at most ", most,
               " ranks: lower --plan.world_size, or the degrees --parallelism.data_parallel_shard_degree, "
               "data_parallel_replicate_degree, tensor_parallel_degree and pipeline_parallel_degree, "
               "whose product is the number of ranks"));
  return size;
}

}  // namespace ashlar::inline v0
