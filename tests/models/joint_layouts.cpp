// The joint model on every kind of layout, and with every checkpointing mode, against one rank; and its plan.
#include "ashlar/program/plan.hpp"
#include "models/joint_recipe.hpp"
#include "train/equivalence.hpp"

using namespace ashlar;
using test::Images;
using test::joint_config;
using test::TinyJoint;

namespace {

/// `steps` steps in double on `ranks` threads.
equivalence::Run run(const Config& config, int ranks, int steps) {
  using M = ModelOf<Images<Cpu>, Cpu, double>;
  equivalence::Run result;
  std::mutex mutex;
  LocalWorld::run(ranks, [&](Communicator world) {
    Trainer<M> trainer(config, world);
    auto loader = trainer.loader(test::latents(config));
    for (int i = 0; i < steps; ++i) {
      trainer.step(loader.next());
      const StepResult r = trainer.result();
      if (world.rank() == 0) {
        result.losses.push_back(r.loss);
        result.norms.push_back(r.grad_norm);
      }
    }
    const std::scoped_lock lock(mutex);
    equivalence::collect(trainer, result.tensors);
  });
  return result;
}

Config layout(int pipeline, int replicate, int shard, int tensor, const char* schedule = "1F1B",
              const char* mode = "none") {
  Config c = joint_config();
  c.parallelism.pipeline_parallel_degree = pipeline;
  c.parallelism.data_parallel_replicate_degree = replicate;
  c.parallelism.data_parallel_shard_degree = shard;
  c.parallelism.tensor_parallel_degree = tensor;
  c.parallelism.pipeline_parallel_schedule = schedule;
  c.activation_checkpoint.mode = mode;
  const int rows = 8 / (replicate * shard);
  c.training.local_batch_size = pipeline > 1 ? rows : std::max(1, rows / 2);
  return c;
}

}  // namespace

TEST_CASE("checkpointing modes of the joint model come to the same bits") {
  Config c = layout(1, 1, 1, 1);
  const auto all = run(c, 1, 3);
  for (const char* mode : {"selective", "full"}) {
    c.activation_checkpoint.mode = mode;
    const auto other = run(c, 1, 3);
    CAPTURE(mode);
    CHECK(other.losses == all.losses);
    CHECK(other.norms == all.norms);
    CHECK(other.tensors == all.tensors);
  }
}

TEST_CASE("layouts of the joint model equal one rank") {
  const auto alone = run(joint_config(), 1, 3);
  // tp 4: one image of 6 latents a micro-batch would not divide; ranks begin within a sequence at tp 2 and 4.
  const std::vector<equivalence::Layout> layouts{
      {2, layout(1, 2, 1, 1)},
      {2, layout(1, 1, 2, 1)},
      {2, layout(1, 1, 1, 2)},
      {4, layout(1, 1, 1, 4, "1F1B", "selective")},
      {4, layout(1, 1, 2, 2, "1F1B", "full")},
      {4, layout(1, 1, 2, 2)},
      {2, layout(2, 1, 1, 1, "GPipe")},
      {2, layout(2, 1, 1, 1, "ZBVZeroBubble")},
      {2, layout(2, 1, 1, 1, "ZBVZeroBubble", "selective")},
      {2, layout(2, 1, 1, 1, "ZBVZeroBubble", "full")},
      {4, layout(4, 1, 1, 1)},
      {4, layout(2, 1, 1, 2, "ZBVZeroBubble")},
      {4, layout(2, 1, 2, 1, "ZBVZeroBubble")},
      {8, layout(2, 1, 2, 2, "ZBVZeroBubble", "selective")},
      {8, layout(2, 2, 1, 2)},
  };
  for (const auto& [ranks, config] : layouts) {
    CAPTURE(equivalence::describe(config, ranks));
    const auto d = equivalence::compare(alone, run(config, ranks, 3));
    CAPTURE(d.worst);
    CHECK(d.loss < 1e-10);
    CHECK(d.grad_norm < 1e-10);
    CHECK(d.parameter < 1e-10);
  }
}

TEST_CASE("text whose rows tp does not divide is refused in words") {
  Config c = layout(1, 1, 1, 2);
  c.model.flavor = "odd_text";
  c.training.local_batch_size = c.training.global_batch_size = 1;
  CHECK_THROWS_AS(LocalWorld::run(2,
                                  [&](Communicator world) {
                                    Trainer<ModelOf<Images<Cpu>, Cpu, double>> trainer(c, world);
                                    const RandomLatents source(1, trainer.sizes(), 6);
                                    trainer.evaluate(source.read(0, 1));
                                  }),
                  ConfigError);
}

TEST_CASE("a rank of the joint model holds what was planned") {
  for (const auto& [ranks, config] : {equivalence::Layout{1, layout(1, 1, 1, 1)},
                                      {2, layout(1, 1, 1, 2)},
                                      {2, layout(1, 1, 2, 1, "1F1B", "full")},
                                      {2, layout(2, 1, 1, 1)}}) {
    CAPTURE(equivalence::describe(config, ranks));
    const Plan plan = make_plan<ModelOf<Images<Cpu>, Meta, float>>([&, c = config, n = ranks]() mutable {
      c.plan.world_size = n;
      return c;
    }());
    CHECK(plan.parameters > 0);
    std::mutex mutex;
    LocalWorld::run(ranks, [&, c = config](Communicator world) {
      Trainer<ModelOf<Images<Cpu>, Cpu, float>> trainer(c, world);
      auto loader = trainer.loader(test::latents(c));
      trainer.step(loader.next());
      trainer.result();
      const std::scoped_lock lock(mutex);
      for (const RankPlan& r : plan.ranks)
        if (r.rank == world.rank()) {
          CHECK(trainer.memory().persistent() == r.persistent_bytes);
          CHECK(trainer.memory().arenas() == r.arena_bytes);
        }
    });
  }
}
