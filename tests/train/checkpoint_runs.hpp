// Runs of the tiny models that save and load: what the tests of the checkpointer share.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "ashlar/comm/local.hpp"
#include "ashlar/moe/token_dispatchers/all_to_all.hpp"
#include "ashlar/train/checkpointer.hpp"
#include "catch.hpp"
#include "checkpoint/temporary_folder.hpp"
#include "tiny_family.hpp"

namespace ashlar::test {

struct Dense : Recipe<Family<Tiny>, Parallel<ddp * fsdp * tp * pp>> {};
struct Sparse : Recipe<Family<Tiny>, Ffn<MoE<TopK<Sigmoid>>>, Parallel<ddp * fsdp * tp * ep>> {};
using DenseModel = ModelOf<Dense, Cpu, float>;
using SparseModel = ModelOf<Sparse, Cpu, float>;

struct Layout {
  int replicate = 1, shard = 1, tensor = 1, pipeline = 1, expert = 1;
  int ranks() const { return replicate * shard * tensor * pipeline; }
};

inline Config config_of(const std::filesystem::path& folder, const Layout& layout = {}) {
  Config c;
  c.job.dump_folder = folder.string();
  c.training.seq_len = 8;
  c.training.global_batch_size = 8;
  c.training.local_batch_size = 2;
  c.training.steps = 6;
  c.lr_scheduler.warmup_steps = 2;
  c.optimizer.lr = 1e-2;
  c.parallelism.data_parallel_replicate_degree = layout.replicate;
  c.parallelism.data_parallel_shard_degree = layout.shard;
  c.parallelism.tensor_parallel_degree = layout.tensor;
  c.parallelism.pipeline_parallel_degree = layout.pipeline;
  c.parallelism.expert_parallel_degree = layout.expert;
  c.checkpoint.enable = true;
  c.checkpoint.interval = 3;
  return c;
}
inline Config sparse(Config c) {
  c.model.flavor = "moe";
  return c;
}

struct Outcome {
  std::vector<double> losses;
  bool loaded = false;
  std::int64_t tokens = 0, cursor = 0;
};

// Trains from where the folder stands to `steps`, saving as configured.
template <class M>
Outcome train(const Config& config, std::int64_t steps) {
  Outcome outcome;
  const ParallelismConfig& p = config.parallelism;
  const int ranks = p.data_parallel_replicate_degree * p.data_parallel_shard_degree * p.tensor_parallel_degree *
                    p.pipeline_parallel_degree;
  LocalWorld::run(ranks, [&](Communicator world) {
    Trainer<M> trainer(config, world);
    auto loader = trainer.loader(std::make_shared<RandomTokens>(1, 64));
    Checkpointer checkpointer(trainer, loader);
    const bool loaded = checkpointer.load();
    std::vector<double> losses;
    while (trainer.step_count() < steps) {
      trainer.step(loader.next());
      losses.push_back(trainer.result().loss);
      checkpointer.save(trainer.step_count(), trainer.step_count() == config.training.steps);
    }
    if (world.rank() == 0) outcome = {losses, loaded, checkpointer.tokens_seen(), loader.cursor()};
  });
  return outcome;
}

// Every tensor of a checkpoint, whole, as bytes.
using Tensors = std::map<std::string, std::vector<std::byte>>;
inline Tensors tensors_of(const std::filesystem::path& checkpoint) {
  OpenCheckpoint opened = open_checkpoint(checkpoint);
  Tensors all;
  for (const auto& [name, tensor] : opened.index.tensors()) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(tensor.shape.count()) * sizeof(float));
    opened.index.read(name, TensorBox::whole(tensor.shape), DType::f32, bytes.data());
    all.emplace(name, std::move(bytes));
  }
  return all;
}
inline void check_alike(const Tensors& a, const Tensors& b) {
  REQUIRE(a.size() == b.size());
  for (const auto& [name, bytes] : a) {
    INFO(name);
    REQUIRE(b.count(name) == 1);
    CHECK(bytes == b.at(name));
  }
}
// What `layout` writes again after it loaded a checkpoint.
template <class M>
Tensors saved_again(const std::filesystem::path& checkpoint, Config config) {
  TemporaryFolder other;
  config.job.dump_folder = other.path().string();
  config.checkpoint.initial_load_path = checkpoint.string();
  config.checkpoint.initial_load_model_only = false;
  LocalWorld::run(static_cast<int>(planned_world_size(config)), [&](Communicator world) {
    Trainer<M> trainer(config, world);
    auto loader = trainer.loader(std::make_shared<RandomTokens>(1, 64));
    Checkpointer checkpointer(trainer, loader);
    CHECK(checkpointer.load());
    CHECK(checkpointer.save(trainer.step_count(), false));
  });
  return tensors_of(other.path() / "checkpoint");
}

}  // namespace ashlar::test
