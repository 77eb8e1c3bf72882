// Definitions of options.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/config/options.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE std::vector<Field> fields(GroupOptions& group) {
  return {{"names", &group.names, {.meaning = "a pattern over parameter names: * is any run of characters"}},
          {"rule", &group.rule, {.meaning = "the update rule, or Frozen: not trained; empty: optimizer.name"}},
          {"lr_factor", &group.lr_factor, {.meaning = "times the learning rate", .check = at_least(0)}},
          {"weight_decay",
           &group.weight_decay,
           {.meaning = "in place of optimizer.weight_decay; none: that", .check = at_least(0)}}};
}

ASHLAR_ONCE FieldList fields(Config& config) {
  auto& [job, model, training, parallelism, optimizer, lr_scheduler, checkpoint, metrics, activation_checkpoint,
         validation, comm, lora, generate, plan, debug, tokenize] = config;
  FieldList list;

  list.section("job", "The run as a whole.");
  list.field("dump_folder", &job.dump_folder, {.meaning = "folder for everything the run writes"});
  list.field("description", &job.description, {.meaning = "a line about the run, shown at its start"});

  list.section("model", "Which size of the recipe's model.");
  list.field("flavor", &model.flavor, {.meaning = "name of a size in the model's table"});

  list.section("training", "What is trained on, how much of it, and how precisely.");
  list.field("dataset", &training.dataset,
             {.meaning = "source of tokens: a text, or random tokens", .check = one_of({"text", "random"})});
  list.field("dataset_path", &training.dataset_path,
             {.meaning = "what dataset text reads: a file, a folder of files, or tokens that `tokenize` wrote, "
                         "X.safetensors"});
  list.field(
      "tokenizer", &training.tokenizer,
      {.meaning = "how text becomes tokens, here and in evaluate and generate: a tokenizer.json, a tiktoken file, "
                  "or a model's folder; empty: bytes. train writes the tokens of a text once, into "
                  "job.dump_folder"});
  list.field("local_batch_size", &training.local_batch_size,
             {.unit = "sequences",
              .meaning = "batch of one data-parallel rank in one forward and backward pass",
              .check = at_least(1)});
  list.field("global_batch_size", &training.global_batch_size,
             {.unit = "sequences",
              .meaning = "batch of one optimizer step over all ranks, reached by accumulating gradients; -1: what one "
                         "pass gives, local_batch_size times the data-parallel degree",
              .check = at_least(1).or_exactly(-1)});
  list.field("seq_len", &training.seq_len,
             {.unit = "tokens", .meaning = "length of a training sequence", .check = at_least(1)});
  list.field("max_norm", &training.max_norm,
             {.meaning = "gradients whose global L2 norm is larger are scaled down to it", .check = above(0)});
  list.field("steps", &training.steps, {.unit = "steps", .meaning = "length of the whole run", .check = at_least(1)});
  list.field("mixed_precision_param", &training.mixed_precision_param,
             {.meaning = "type that blocks compute in, one of those compiled in; master weights are float32 "
                         "(float64 under float64)",
              .check = one_of({"bfloat16", "float32", "float64"})});
  list.field(
      "unordered_sums", &training.unordered_sums,
      {.meaning = "attention on Hopper GPUs adds the gradient of queries by atomics, in no order: faster, but the "
                  "last bits differ from run to run"});
  list.field("seed", &training.seed,
             {.meaning = "initial weights and the order of the data are functions of it, on any layout",
              .check = at_least(0)});

  list.section(
      "parallelism",
      "Degrees of the strategies compiled in. Their product, expert_parallel_degree apart, is the world size.");
  list.field(
      "data_parallel_replicate_degree", &parallelism.data_parallel_replicate_degree,
      {.unit = "ranks", .meaning = "replicas of the parameters (DDP; with sharding HSDP)", .check = at_least(1)});
  list.field("data_parallel_shard_degree", &parallelism.data_parallel_shard_degree,
             {.unit = "ranks",
              .meaning = "ranks that parameters, gradients and optimizer states are divided over (FSDP); -1: all ranks "
                         "that the other degrees leave",
              .check = at_least(1).or_exactly(-1)});
  list.field(
      "fsdp_reshard_after_forward", &parallelism.fsdp_reshard_after_forward,
      {.meaning = "free gathered parameters after a block's forward, and gather again for its backward; default: "
                  "always without pipeline, never with it",
       .check = one_of({"default", "always", "never"})});
  list.field(
      "tensor_parallel_degree", &parallelism.tensor_parallel_degree,
      {.unit = "ranks", .meaning = "ranks that share each layer's matrices and its sequence", .check = at_least(1)});
  list.field("pipeline_parallel_degree", &parallelism.pipeline_parallel_degree,
             {.unit = "ranks", .meaning = "ranks that the layers are divided over", .check = at_least(1)});
  list.field("pipeline_parallel_schedule", &parallelism.pipeline_parallel_schedule,
             {.meaning = "order of forward and backward passes of the stages",
              .check = one_of({"GPipe", "1F1B", "ZBVZeroBubble"})});
  list.field("pipeline_parallel_schedule_csv", &parallelism.pipeline_parallel_schedule_csv,
             {.meaning = "a file with the actions of each rank, in place of a named schedule"});
  list.field("pipeline_parallel_microbatch_size", &parallelism.pipeline_parallel_microbatch_size,
             {.unit = "sequences",
              .meaning = "what one pass through the pipeline carries; divides local_batch_size",
              .check = at_least(1)});
  list.field("pipeline_parallel_first_stage_less_layers", &parallelism.pipeline_parallel_first_stage_less_layers,
             {.unit = "layers",
              .meaning = "cost of the embedding when layers are divided",
              .check = at_least(0).at_most(4096)});
  list.field("pipeline_parallel_last_stage_less_layers", &parallelism.pipeline_parallel_last_stage_less_layers,
             {.unit = "layers",
              .meaning = "cost of the output projection when layers are divided",
              .check = at_least(0).at_most(4096)});
  list.field("expert_parallel_degree", &parallelism.expert_parallel_degree,
             {.unit = "ranks",
              .meaning = "ranks that experts are divided over; borrowed from the other degrees, it adds none",
              .check = at_least(1)});

  list.section("optimizer", "How gradients change weights.");
  list.field("name", &optimizer.name,
             {.meaning = "the update rule of parameters in no group, one of those compiled in; empty: the first"});
  list.field("lr", &optimizer.lr, {.meaning = "base learning rate; lr_scheduler scales it", .check = at_least(0)});
  list.field("beta1", &optimizer.beta1, {.meaning = "decay of the gradients' mean", .check = at_least(0).below(1)});
  list.field("beta2", &optimizer.beta2,
             {.meaning = "decay of the gradients' mean square", .check = at_least(0).below(1)});
  list.field("eps", &optimizer.eps, {.meaning = "added to the root of the mean square", .check = above(0)});
  list.field(
      "weight_decay", &optimizer.weight_decay,
      {.meaning = "share of a weight, times the learning rate, that each step takes away (Adam: that is added to its "
                  "gradient)",
       .check = at_least(0)});

  list.field("momentum", &optimizer.momentum,
             {.meaning = "decay of the gradients' mean in Muon", .check = at_least(0).below(1)});
  list.field("nesterov", &optimizer.nesterov, {.meaning = "Muon looks one gradient ahead of its mean"});
  list.field("adjust_lr", &optimizer.adjust_lr,
             {.meaning = "what Muon multiplies the rate of a matrix [R, C] by: sqrt(max(1, R / C)), or 0.2 sqrt(max(R, "
                         "C)), after which steps are as large as AdamW's",
              .check = one_of({"original", "match_rms_adamw"})});
  list.field("groups", &optimizer.groups,
             {.meaning = "parameters with a rule, rate or decay of their own: names, rule, lr_factor, weight_decay; a "
                         "parameter is in the first group whose pattern its name matches"});

  list.section("lr_scheduler", "How the learning rate rises and falls: warm-up, constant, decay.");
  list.field("warmup_steps", &lr_scheduler.warmup_steps,
             {.unit = "steps", .meaning = "steps of the linear rise to the base rate", .check = at_least(0)});
  list.field("decay_ratio", &lr_scheduler.decay_ratio,
             {.meaning = "share of training.steps spent on the decay; none: everything after the warm-up",
              .check = at_least(0).at_most(1)});
  list.field("decay_type", &lr_scheduler.decay_type,
             {.meaning = "shape of the decay", .check = one_of({"linear", "sqrt", "cosine"})});
  list.field("min_lr_factor", &lr_scheduler.min_lr_factor,
             {.meaning = "where the decay ends, as a share of the base rate", .check = at_least(0).at_most(1)});

  list.section("checkpoint", "When state is saved, and what a run starts from.");
  list.field("enable", &checkpoint.enable, {.meaning = "save, and resume from what the folder holds"});
  list.field("folder", &checkpoint.folder, {.meaning = "folder of the checkpoints, inside job.dump_folder"});
  list.field("interval", &checkpoint.interval,
             {.unit = "steps", .meaning = "save at every multiple, and after the last step", .check = at_least(1)});
  list.field("enable_first_step_checkpoint", &checkpoint.enable_first_step_checkpoint,
             {.meaning = "save after step 1 as well"});
  list.field("last_save_model_only", &checkpoint.last_save_model_only,
             {.meaning = "the last save holds weights alone: smaller, but a run can't resume from it"});
  list.field("export_dtype", &checkpoint.export_dtype,
             {.meaning = "type of the weights in a model-only save", .check = one_of({"float32", "bfloat16"})});
  list.field("keep_latest_k", &checkpoint.keep_latest_k,
             {.unit = "checkpoints",
              .meaning = "delete all but the newest; 0: keep all; not 1, since the newest may be half written",
              .check = at_least(2).or_exactly(0)});
  list.field("load_step", &checkpoint.load_step,
             {.unit = "step",
              .meaning = "the checkpoint to load; -1: the newest complete one",
              .check = at_least(0).or_exactly(-1)});
  list.field("initial_load_path", &checkpoint.initial_load_path,
             {.meaning = "a checkpoint to start from while the run's own folder holds none"});
  list.field("initial_load_model_only", &checkpoint.initial_load_model_only,
             {.meaning = "take weights alone from initial_load_path, and start at step 0"});
  list.field(
      "base_path", &checkpoint.base_path,
      {.meaning = "the checkpoint that frozen weights are from: they are loaded from it, and saves leave them out"});
  list.field("exclude_from_loading", &checkpoint.exclude_from_loading,
             {.meaning = "parts of a checkpoint that are not loaded, such as optimizer"});

  list.section("metrics", "What is reported while training.");
  list.field("log_freq", &metrics.log_freq,
             {.unit = "steps", .meaning = "report step 1 and every multiple", .check = at_least(1)});

  list.section("activation_checkpoint", "What a block keeps from forward for backward.");
  list.field(
      "mode", &activation_checkpoint.mode,
      {.meaning = "none: everything; selective: what is dear to recompute; full: the block's input; one of those "
                  "compiled in",
       .check = one_of({"none", "selective", "full"})});

  list.section("validation", "Loss on data that is not trained on.");
  list.field("enable", &validation.enable, {.meaning = "measure it while training"});
  list.field("freq", &validation.freq,
             {.unit = "steps", .meaning = "measure at step 1 and every multiple", .check = at_least(1)});
  list.field("steps", &validation.steps,
             {.unit = "batches", .meaning = "length of one measurement", .check = at_least(1)});
  list.field("held_out_fraction", &validation.held_out_fraction,
             {.meaning = "share of the data set, at its end, that is kept for validation", .check = above(0).below(1)});

  list.section("comm", "How long ranks wait for each other before the run fails.");
  list.field("init_timeout_seconds", &comm.init_timeout_seconds,
             {.unit = "seconds", .meaning = "until the first step is done", .check = at_least(1)});
  list.field("train_timeout_seconds", &comm.train_timeout_seconds,
             {.unit = "seconds", .meaning = "after the first step", .check = at_least(1)});

  list.section("lora", "Adapters of low rank beside frozen weights, in recipes with Weights<LowRank>.");
  list.field("rank", &lora.rank, {.meaning = "of each adapter", .check = at_least(1)});
  list.field("alpha", &lora.alpha,
             {.meaning = "what an adapter adds to its weight is multiplied by alpha / rank", .check = above(0)});
  list.field("targets", &lora.targets,
             {.meaning = "the projections that have adapters, by name; * stands for any characters, as in "
                         "layers.*.attention.wq"});

  list.section("generate", "What the subcommand generate writes.");
  list.field("prompt", &generate.prompt, {.meaning = "the text to continue"});
  list.field("tokens", &generate.tokens,
             {.unit = "tokens", .meaning = "length of the continuation", .check = at_least(0)});
  list.field("temperature", &generate.temperature,
             {.meaning = "divides the logits before sampling; 0: always the likeliest token", .check = at_least(0)});
  list.field("top_k", &generate.top_k,
             {.unit = "tokens", .meaning = "sample among so many of the likeliest; 0: all", .check = at_least(0)});
  list.field("seed", &generate.seed, {.meaning = "the continuation is a function of it", .check = at_least(0)});

  list.section("plan", "What the subcommand plan works out.");
  list.field("world_size", &plan.world_size,
             {.unit = "ranks",
              .meaning = "size of the run; -1: the product of the degrees",
              .check = at_least(1).or_exactly(-1)});
  list.field("json", &plan.json, {.meaning = "print JSON in place of a table"});

  list.section("debug", "What train compares with another run, tensor by tensor.");
  list.field("record", &debug.record,
             {.meaning = "train, and write every observed tensor, gradient and weight of each step into this folder"});
  list.field("compare", &debug.compare,
             {.meaning = "train beside a reference, and stop at the first tensor that differs: `layout`, a run on "
                         "debug.layout in this process, or a folder that debug.record has filled"});
  list.field("layout", &debug.layout, {.meaning = "degrees of the reference, such as `tp=2,pp=2`; empty: one rank"});
  list.field("tolerance", &debug.tolerance,
             {.meaning = "relative difference that is allowed; 0: by the compute type, 6e-8, 1.4e-3 or 0.35",
              .check = at_least(0)});

  list.section("tokenize", "Between a text and a file of its tokens, for training.dataset_path.");
  list.field("tokenizer", &tokenize.tokenizer,
             {.meaning = "a tokenizer.json, a tiktoken file, or a model's folder; empty: bytes"});
  list.field("input", &tokenize.input, {.meaning = "the text; with decode, the file of tokens"});
  list.field("output", &tokenize.output,
             {.meaning = "the file of tokens: safetensors with an int32 tensor tokens [N]; with decode, the text"});
  list.field("decode", &tokenize.decode, {.meaning = "turn tokens back into text"});

  return list;
}

ASHLAR_ONCE void validate(const Config& config) {
  Config copy = config;
  const FieldList list = fields(copy);
  for (const FieldList::Section& section : list.sections())
    for (const Field& field : section.fields) check_value(field, field.name);

  const int batch = config.training.local_batch_size, micro = config.parallelism.pipeline_parallel_microbatch_size;
  if (config.parallelism.pipeline_parallel_degree > 1 && batch % micro != 0)
    throw ConfigError(
        concat("parallelism.pipeline_parallel_microbatch_size: must divide training.local_batch_size, but ", micro,
               " does not divide ", batch));
  const int global = config.training.global_batch_size;
  if (global > 0 && global % batch != 0)
    throw ConfigError(
        concat("training.global_batch_size: must be a multiple of training.local_batch_size times the "
               "data-parallel degree, but ",
               global, " is no multiple of ", batch));
}

}  // namespace ashlar::inline v0
