// How a configuration is laid out on a world: degrees, batch sizes, the pipeline's schedule. Checked here, in words,
// before anything is allocated.
#pragma once

#include "ashlar/config/config.hpp"
#include "ashlar/core/environment.hpp"
#include "ashlar/core/platform.hpp"
#include "ashlar/core/recipe.hpp"
#include "ashlar/mesh/mesh.hpp"
#include "ashlar/models/model.hpp"
#include "ashlar/nn/context.hpp"
#include "ashlar/parallel/pipeline/csv.hpp"
#include "ashlar/parallel/pipeline/lower.hpp"
#include "ashlar/parallel/pipeline/schedule.hpp"
#include "ashlar/parallel/pipeline/split.hpp"

namespace ashlar::inline v0 {

Degrees degrees_of(const ParallelismConfig& p);

/// The same configuration with these degrees, none of them left open.
ParallelismConfig with_degrees(ParallelismConfig p, const Degrees& d);

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
BatchLayout batch_layout(const Config& config, const Mesh& mesh);

/// The schedule that the configuration names, or reads from a file; for one rank, each micro-batch forward and
/// backward.
pipeline::Schedule schedule_of(const ParallelismConfig& p, const Mesh& mesh, int micro_batches);

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

#if !ASHLAR_COMPILED
#include "ashlar/train/layout.ipp"
#endif
