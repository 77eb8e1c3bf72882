// Definitions of layout.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/train/layout.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE Degrees degrees_of(const ParallelismConfig& p) {
  Degrees d;
  d.pp = p.pipeline_parallel_degree;
  d.dp_replicate = p.data_parallel_replicate_degree;
  d.dp_shard = p.data_parallel_shard_degree;
  d.tp = p.tensor_parallel_degree;
  d.ep = p.expert_parallel_degree;
  return d;
}

ASHLAR_ONCE ParallelismConfig with_degrees(ParallelismConfig p, const Degrees& d) {
  p.pipeline_parallel_degree = d.pp;
  p.data_parallel_replicate_degree = d.dp_replicate;
  p.data_parallel_shard_degree = d.dp_shard;
  p.tensor_parallel_degree = d.tp;
  p.expert_parallel_degree = d.ep;
  return p;
}

ASHLAR_ONCE BatchLayout batch_layout(const Config& config, const Mesh& mesh) {
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

ASHLAR_ONCE pipeline::Schedule schedule_of(const ParallelismConfig& p, const Mesh& mesh, int micro_batches) {
  const int ranks = mesh.degree(Axis::pp);
  if (ranks == 1) return pipeline::one_f_one_b(1, micro_batches);
  if (!p.pipeline_parallel_schedule_csv.empty())
    return pipeline::read_csv(p.pipeline_parallel_schedule_csv, ranks, micro_batches);
  return pipeline::find_schedule(p.pipeline_parallel_schedule).make(ranks, micro_batches);
}

}  // namespace ashlar::inline v0
