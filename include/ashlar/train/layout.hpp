// How a configuration is laid out on a world: degrees, batch sizes, the pipeline's schedule. Checked here, in words,
// before anything is allocated. Used by train/trainer.hpp and train/plan.hpp.
#pragma once

#include "ashlar/core/environment.hpp"
#include "ashlar/core/recipe.hpp"
#include "ashlar/mesh/mesh.hpp"
#include "ashlar/models/model.hpp"
#include "ashlar/nn/context.hpp"
#include "ashlar/parallel/pipeline/csv.hpp"
#include "ashlar/parallel/pipeline/lower.hpp"
#include "ashlar/parallel/pipeline/schedule.hpp"
#include "ashlar/parallel/pipeline/split.hpp"
#include "ashlar/train/config.hpp"

namespace ashlar::inline v0 {

template <class CompiledOnce = void>
Degrees degrees_of(const ParallelismConfig& p) {
  Degrees d;
  d.pp = p.pipeline_parallel_degree;
  d.dp_replicate = p.data_parallel_replicate_degree;
  d.dp_shard = p.data_parallel_shard_degree;
  d.tp = p.tensor_parallel_degree;
  d.ep = p.expert_parallel_degree;
  return d;
}

/// The same configuration with these degrees, none of them left open.
template <class CompiledOnce = void>
ParallelismConfig with_degrees(ParallelismConfig p, const Degrees& d) {
  p.pipeline_parallel_degree = d.pp;
  p.data_parallel_replicate_degree = d.dp_replicate;
  p.data_parallel_shard_degree = d.dp_shard;
  p.tensor_parallel_degree = d.tp;
  p.expert_parallel_degree = d.ep;
  return p;
}

/// Degrees that need a strategy which the recipe does not compile in are errors that name it. With dp_shard -1 and no
/// fsdp, leftover ranks replicate under ddp.
template <class M>
Degrees compiled_degrees(Degrees d, int world_size) {
  using E = typename M::Environment;
  if constexpr (!E::has(fsdp) && E::has(ddp)) {
    const index_t others = index_t{d.pp} * d.tp * d.cp;
    if (d.dp_shard == -1 && d.dp_replicate == 1 && others > 0 && world_size % others == 0) {
      d.dp_replicate = static_cast<int>(world_size / others);
      d.dp_shard = 1;
    }
  }
  d = resolve_degrees(d, world_size);
  const auto need = [](int degree, bool compiled, std::string_view flag, std::string_view tag) {
    if (degree > 1 && !compiled)
      throw ConfigError(concat("--parallelism.", flag, " is ", degree, ", but this binary's recipe has Parallel<",
                               to_string(E::strategies), ">; add ", tag, " to it and build again"));
  };
  need(d.dp_replicate, E::has(ddp), "data_parallel_replicate_degree", "ddp");
  need(d.dp_shard, E::has(fsdp), "data_parallel_shard_degree", "fsdp");
  need(d.tp, E::has(tp), "tensor_parallel_degree", "tp");
  need(d.pp, E::has(pp), "pipeline_parallel_degree", "pp");
  need(d.ep, E::has(ep), "expert_parallel_degree", "ep");
  if constexpr (requires { requires M::has_experts; })
    if (!E::has(fsdp) && Mesh::degree(d, Axis::efsdp) > 1)
      throw ConfigError(
          concat("experts are sharded over the ", Mesh::degree(d, Axis::efsdp),
                 " ranks that --parallelism.tensor_parallel_degree and --parallelism.expert_parallel_degree "
                 "leave, but this binary's recipe has Parallel<",
                 to_string(E::strategies), ">; add fsdp to it and build again"));
  return d;
}

/// The sizes of the flavor that the configuration names. Throws ConfigError for a name that the family has not.
template <class M>
typename M::Sizes sizes_of(const Config& config) {
  return find_flavor(M::name(), M::flavors(), config.model.flavor);
}

/// The sizes of a step on each rank.
struct BatchLayout {
  index_t global_rows = 0;  // sequences a step, all ranks
  index_t local_rows = 0;   // of them on this rank's data-parallel part
  index_t rows = 0;         // sequences a micro-batch
  int micro_batches = 0;    // a step, gradient accumulation included
  index_t seq_len = 0;
};

/// Throws ConfigError, naming the flags, for sizes that do not divide, and for steps that are too large to be meant:
/// above 2^40 tokens bytes would no longer fit 64 bits (the largest flavor holds 2^20 a token), and above 2^18 passes
/// (micro-batches times pipeline ranks) a schedule, which lists them all, would take minutes to make.
template <class CompiledOnce = void>
BatchLayout batch_layout(const Config& config, const Mesh& mesh) {
  const TrainingConfig& t = config.training;
  BatchLayout b;
  const index_t at_once = index_t{t.local_batch_size} * mesh.dp_degree();
  b.seq_len = t.seq_len;
  b.global_rows = t.global_batch_size < 0 ? at_once : t.global_batch_size;
  if (b.global_rows < 1 || b.global_rows % at_once != 0)
    throw ConfigError(concat("--training.global_batch_size ", b.global_rows,
                             " must be a multiple of --training.local_batch_size times the data-parallel degree (",
                             t.local_batch_size, " * ", mesh.dp_degree(), ")"));
  constexpr index_t most_tokens = index_t{1} << 40, most_passes = index_t{1} << 18;
  if (b.global_rows > most_tokens / b.seq_len)
    throw ConfigError(concat("a step of ", b.global_rows, " sequences of ", b.seq_len, " tokens is above the limit of ",
                             most_tokens,
                             " tokens: lower --training.seq_len, --training.local_batch_size or "
                             "--training.global_batch_size"));
  b.local_rows = b.global_rows / mesh.dp_degree();
  b.rows = mesh.degree(Axis::pp) > 1 ? config.parallelism.pipeline_parallel_microbatch_size : t.local_batch_size;
  if (t.local_batch_size % b.rows != 0)
    throw ConfigError(concat("--parallelism.pipeline_parallel_microbatch_size ", b.rows,
                             " must divide --training.local_batch_size ", t.local_batch_size));
  const index_t micro_batches = b.local_rows / b.rows;
  if (micro_batches > most_passes / mesh.degree(Axis::pp))
    throw ConfigError(concat(
        "a step of ", micro_batches, " micro-batches on ", mesh.degree(Axis::pp),
        " pipeline ranks is above the limit of ", most_passes,
        " (their product): lower --training.global_batch_size, or raise ",
        mesh.degree(Axis::pp) > 1 ? "--parallelism.pipeline_parallel_microbatch_size" : "--training.local_batch_size"));
  b.micro_batches = static_cast<int>(micro_batches);
  if (b.rows * b.seq_len % mesh.degree(Axis::tp) != 0)
    throw ConfigError(concat("--parallelism.tensor_parallel_degree ", mesh.degree(Axis::tp), " must divide the ",
                             b.rows * b.seq_len, " tokens of a micro-batch (", b.rows,
                             " sequences of --training.seq_len ", b.seq_len,
                             "): sequence parallel gives each rank an equal part"));
  return b;
}

/// The schedule that the configuration names, or reads from a file; for one rank, each micro-batch forward and
/// backward.
template <class CompiledOnce = void>
pipeline::Schedule schedule_of(const ParallelismConfig& p, const Mesh& mesh, int micro_batches) {
  const int ranks = mesh.degree(Axis::pp);
  if (ranks == 1) return pipeline::one_f_one_b(1, micro_batches);
  if (!p.pipeline_parallel_schedule_csv.empty())
    return pipeline::read_csv(p.pipeline_parallel_schedule_csv, ranks, micro_batches);
  return pipeline::find_schedule(p.pipeline_parallel_schedule).make(ranks, micro_batches);
}

/// What the flag picks among the modes compiled in; empty: the recipe's first.
template <class M>
Keep keep_of(const std::string& mode) {
  std::optional<Keep> picked;
  std::string names;
  M::Recipe::Checkpointing::for_each([&]<class Mode>(Mode) {
    constexpr bool all = std::is_same_v<Mode, None>, selected = std::is_same_v<Mode, Selective>;
    constexpr std::string_view name = all ? "none" : selected ? "selective" : "full";
    names += concat(names.empty() ? "" : ", ", name);
    if (!picked && (mode.empty() || mode == name)) picked = all ? Keep::all : selected ? Keep::selected : Keep::inputs;
  });
  if (!picked)
    throw ConfigError(concat("--activation_checkpoint.mode ", mode,
                             " is not compiled into this binary; its recipe has ", names,
                             ". Add the mode to ActivationCheckpoint<...> and build again"));
  return *picked;
}

/// Whether blocks give their gathered parameters back after use.
inline bool reshards(const ParallelismConfig& p) {
  return p.fsdp_reshard_after_forward == "always" ||
         (p.fsdp_reshard_after_forward == "default" && p.pipeline_parallel_degree == 1);
}

}  // namespace ashlar::inline v0
