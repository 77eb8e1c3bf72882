// The examples of docs/adding/a_strategy.md, which quotes the parts between the markers.
#include <cmath>
#include <vector>

#include "ashlar/comm/local.hpp"
#include "ashlar/nn/linear.hpp"
#include "ashlar/train/trainer.hpp"
#include "catch.hpp"
#include "checkpoint/temporary_folder.hpp"
#include "tiny_family.hpp"

using namespace ashlar;

namespace {

// [groups]
/// Ranks in teams of `team`: parameters are sharded within a team and replicated over teams.
UnitGroups in_teams(Communicator world, int team) {
  UnitGroups groups;
  groups.shard = world.split(world.rank() / team, world.rank(), "within");
  groups.replicate = world.split(world.rank() % team, world.rank(), "across");
  return groups;
}
// [/groups]

// [unit]
using E = Environment<Cpu, double, ddp * fsdp>;

/// One linear layer on one rank: returns this rank's range of the gradient, summed over all ranks.
std::vector<double> gradient_range(const UnitGroups& groups, TensorView<const double, Cpu> x,
                                   TensorView<const double, Cpu> dy) {
  Memory<Cpu> memory;
  Cpu::Queue queue;
  Declarations<E> declarations(memory, queue, {}, {});
  Linear<E> linear(declarations, "linear", dy.cols(), x.cols(), LinearKind::replicated, Initializer::normal(1));

  UnitOptions options;
  options.reshard = false;                  // gathered weights stay until the optimizer's step
  options.reduce_each_micro_batch = false;  // gradients pile up until the last micro-batch
  Unit<E> unit(declarations.take(), groups, options);
  unit.allocate(memory, queue, nullptr, nullptr);
  unit.initialize(queue, 1);

  Arena<Cpu> scratch(memory);
  Context<E> c(queue, scratch);
  unit.begin_step(queue);
  unit.acquire();  // the weight is whole from here to release
  linear.forward(c, x, c.scratch({x.rows(), dy.cols()}));
  unit.begin_gradient(queue);
  linear.weight_gradient(c, dy, x);
  unit.end_gradient(queue, true);  // the step's last micro-batch: starts the reduction within the team
  unit.release();
  unit.finish();  // waits for it, and sums over teams

  const auto range = unit.gradient();
  return {range.data(), range.data() + range.count()};
}
// [/unit]

// [schedule]
/// Two stages a rank, r and r + ranks; all micro-batches go through the first before any goes through the second
/// (breadth first: Lamy-Poirier 2022, arXiv:2211.05953), and backward in reverse.
pipeline::Schedule breadth_first(int ranks, int micro_batches) {
  using pipeline::Kind;
  auto schedule = pipeline::empty_schedule(ranks, pipeline::loop_layout(ranks, 2 * ranks), micro_batches);
  for (int rank = 0; rank < ranks; ++rank) {
    auto& actions = schedule.actions[static_cast<std::size_t>(rank)];
    for (const int stage : {rank, rank + ranks})
      for (int m = 0; m < micro_batches; ++m) actions.push_back({Kind::forward, stage, m});
    for (const int stage : {rank + ranks, rank})
      for (int m = 0; m < micro_batches; ++m) actions.push_back({Kind::backward, stage, m});
  }
  return schedule;
}
// [/schedule]

struct Staged : Recipe<Family<Tiny>, Parallel<pp>, Precision<F64>> {};

std::vector<double> two_steps(const Config& config, int ranks) {
  std::vector<double> losses;
  LocalWorld::run(ranks, [&](Communicator world) {
    Trainer<ModelOf<Staged, Cpu, double>> trainer(config, world);
    auto loader = trainer.loader(std::make_shared<RandomTokens>(1, 64));
    for (int i = 0; i < 2; ++i) {
      trainer.step(loader.next());
      const StepResult result = trainer.result();
      if (world.rank() == 0) losses.push_back(result.loss);
    }
  });
  return losses;
}

}  // namespace

TEST_CASE("a unit over groups of one's own sums gradients over all ranks", "[docs]") {
  constexpr int ranks = 4, team = 2;
  constexpr index_t tokens = 3, in = 8, out = 8;
  const auto x = [](int rank, index_t i) { return std::sin(static_cast<double>(10 * rank + i)); };
  const auto dy = [](int rank, index_t i) { return std::cos(static_cast<double>(7 * rank + i)); };

  std::vector<std::vector<double>> got(ranks);
  LocalWorld::run(ranks, [&](Communicator world) {
    std::vector<double> a, b;
    for (index_t i = 0; i < tokens * in; ++i) a.push_back(x(world.rank(), i));
    for (index_t i = 0; i < tokens * out; ++i) b.push_back(dy(world.rank(), i));
    got[static_cast<std::size_t>(world.rank())] =
        gradient_range(in_teams(world, team), {a.data(), {tokens, in}}, {b.data(), {tokens, out}});
  });

  for (int rank = 0; rank < ranks; ++rank) {
    const std::vector<double>& range = got[static_cast<std::size_t>(rank)];
    REQUIRE(static_cast<index_t>(range.size()) == in * out / team);
    for (index_t i = 0; i < in * out / team; ++i) {
      const index_t element = in * out / team * (rank % team) + i, o = element / in, k = element % in;
      double want = 0;
      for (int r = 0; r < ranks; ++r)
        for (index_t t = 0; t < tokens; ++t) want += dy(r, t * out + o) * x(r, t * in + k);
      CHECK(range[static_cast<std::size_t>(i)] == Approx(want).margin(1e-12));
    }
  }
}

// [schedule_test]
TEST_CASE("breadth_first is a schedule, with half of GPipe's bubble", "[docs]") {
  for (int p = 1; p <= 6; ++p)
    for (int m = 1; m <= 12; ++m) {
      CAPTURE(p, m);
      const pipeline::Schedule schedule = breadth_first(p, m);
      pipeline::check_schedule(schedule);                   // throws, naming the rank and the action
      pipeline::check_schedule(pipeline::lower(schedule));  // with its messages
      if (m < p) continue;
      const pipeline::Timeline timeline = pipeline::simulate(schedule);
      CHECK(timeline.bubble == Approx((p - 1.0) / (2 * m + p - 1)).margin(1e-12));
      CHECK(timeline.most_held[0] == 2 * m);
    }
}

TEST_CASE("a schedule from a file trains as one rank does", "[docs]") {
  Config config;
  config.training.seq_len = 16;
  config.training.local_batch_size = 4;
  config.lr_scheduler.warmup_steps = 0;
  const std::vector<double> alone = two_steps(config, 1);

  const TemporaryFolder folder;
  const std::string file = folder.write("breadth_first.csv", pipeline::write_csv(breadth_first(2, 4)));
  config.parallelism.pipeline_parallel_degree = 2;
  config.parallelism.pipeline_parallel_schedule_csv = file;
  const std::vector<double> staged = two_steps(config, 2);

  REQUIRE(staged.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) CHECK(std::abs(staged[i] - alone[i]) < 1e-10 * alone[i]);
}
// [/schedule_test]
