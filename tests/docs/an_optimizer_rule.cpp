// The example of docs/adding/an_optimizer_rule.md, which quotes the parts between the markers.
#include <array>
#include <cmath>
#include <vector>

#include "ashlar/program/plan.hpp"
#include "ashlar/train/trainer.hpp"
#include "optim/rule_laws.hpp"
#include "tiny_family.hpp"

using namespace ashlar;

// [module]
/// Lion: steps by the sign of a mean that looks one gradient ahead (Chen et al. 2023, arXiv:2302.06675, algorithm 2).
template <class E>
class LionModule {
 public:
  using T = typename E::Compute;
  using A = typename E::Master;
  using D = typename E::Device;

  LionModule(Memory<D>&, typename D::Queue&, const OptimizerConfig& options, const std::vector<RuleUnit<E>*>&)
      : beta1_(A(options.beta1)), beta2_(A(options.beta2)) {}

  void step([[maybe_unused]] typename D::Queue& queue, RuleUnit<E>& unit, const UpdateStep<E>& step) {
    for (UpdateSpan<E>& s : unit.spans) {
      if constexpr (std::is_same_v<D, Meta>) {
        queue.count(9.0 * s.count, s.gradient, s.master, s.master, s.states[0], s.states[0], s.copy);
      } else {
        static_assert(std::is_same_v<D, Cpu>, "Lion steps on the host; on Cuda write an operation.");
        const A scale = step.gradient_scale.data()[0];
        if (!std::isfinite(scale)) return;  // the step is skipped
        const A lr = A(step.lr * s.lr_factor), decay = A(1 - step.lr * s.lr_factor * s.weight_decay);
        for (index_t i = 0; i < s.count; ++i) {
          const A g = s.gradient.data()[i] * scale;
          A &mean = s.states[0].data()[i], &weight = s.master.data()[i];
          const A ahead = beta1_ * mean + (1 - beta1_) * g;
          weight = weight * decay - lr * A((ahead > 0) - (ahead < 0));
          mean = beta2_ * mean + (1 - beta2_) * g;
          if (s.copy) s.copy.data()[i] = T(weight);
        }
      }
    }
  }

 private:
  A beta1_, beta2_;
};
// [/module]

// [policy]
struct Lion {
  static constexpr std::string_view name = "Lion";
  static constexpr std::array<std::string_view, 1> states{"exp_avg"};
  static bool takes(const ParameterInfo&) { return true; }
  template <class E>
  using Module = LionModule<E>;
};

struct WithLion : Recipe<Family<Tiny>, Parallel<fsdp * tp>, Precision<F64>, Optimize<AdamW, Lion>> {};
// [/policy]

// [laws]
TEST_CASE("Lion keeps the laws of rules") {
  test::rule_laws<Lion>();
}
// [/laws]

// [train]
Config config_of() {
  Config config;
  config.training.seq_len = 16;
  config.training.local_batch_size = 4;
  config.lr_scheduler.warmup_steps = 0;
  config.optimizer.lr = 3e-3;
  config.optimizer.groups = {{.names = "layers.*.w*.weight", .rule = "Lion", .lr_factor = 0.1}};
  return config;
}

/// The losses of three steps on one batch, on so many ranks as threads.
std::vector<double> three_steps(const Config& config, int ranks) {
  std::vector<double> losses;
  LocalWorld::run(ranks, [&](Communicator world) {
    Trainer<ModelOf<WithLion, Cpu, double>> trainer(config, world);
    const HostBatch batch = trainer.loader(std::make_shared<RandomTokens>(1, 64)).next();
    for (int i = 0; i < 3; ++i) {
      trainer.step(batch);
      const StepResult result = trainer.result();
      if (world.rank() == 0) losses.push_back(result.loss);
    }
  });
  return losses;
}
// [/train]

TEST_CASE("a recipe trains with Lion beside AdamW, alike on one rank and on four") {
  Config config = config_of();
  const std::vector<double> alone = three_steps(config, 1);
  CHECK(alone[2] < alone[1]);
  CHECK(alone[1] < alone[0]);
  config.training.local_batch_size = 2;
  config.parallelism.data_parallel_shard_degree = 2;
  config.parallelism.tensor_parallel_degree = 2;
  const std::vector<double> spread = three_steps(config, 4);
  for (std::size_t i = 0; i < 3; ++i) CHECK(spread[i] == Approx(alone[i]).epsilon(1e-10));
}

TEST_CASE("Lion's state is half of AdamW's, and a plan says so") {
  Config lion = config_of(), adamw = lion;
  lion.plan.world_size = adamw.plan.world_size = 1;
  adamw.optimizer.groups = {{.names = "*.attention_norm.weight", .rule = "Lion"}};
  const auto bytes = [](const Config& c) { return plan_recipe<WithLion, double>(c).ranks[0].persistent_bytes; };
  // The matrices of two layers have one state less, and in the other run two norms of 32 have.
  const std::size_t matrices = 2 * (4 * 32 * 32 + 3 * 32 * 48);
  CHECK(bytes(adamw) - bytes(lion) == (matrices - 2 * 32) * sizeof(double));
}
