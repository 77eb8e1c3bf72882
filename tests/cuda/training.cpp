// Training steps On<Cuda>, through the emulator or on a GPU, equal training steps On<Cpu>: the dense model and the
// mixture of experts, on one rank and on two with fsdp (and ep).
#include <cmath>

#include "ashlar/comm/local.hpp"
#include "catch.hpp"
#include "tiny_recipes.hpp"

using namespace ashlar;
using test::Adapted;
using test::Dense;
using test::Experts;
using test::tiny_config;

namespace {

struct Result {
  std::vector<double> losses, norms;
  // Of rank 0: what the first step's gradients left in the first state of each span, and the weights of each unit after
  // the last step.
  std::vector<std::vector<float>> gradients, weights;
};

template <class D>
std::vector<float> on_host(typename D::Queue& queue, TensorView<float, D> x) {
  std::vector<float> host(static_cast<std::size_t>(x.count()));
  D::download(queue, host.data(), x.data(), host.size() * sizeof(float));
  return host;
}

double relative_difference(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
    norm += double(a[i]) * a[i];
  }
  return std::sqrt(difference / norm);
}

template <class M>
Result train(const Config& config, int ranks) {
  Result result;
  LocalWorld::run(ranks, [&](Communicator world) {
    Trainer<M> trainer(config, world);
    auto loader = trainer.loader(std::make_shared<RandomTokens>(3, 32));
    for (int i = 0; i < 2; ++i) {
      trainer.step(loader.next());
      const StepResult r = trainer.result();
      if (world.rank() != 0) continue;
      result.losses.push_back(r.loss);
      result.norms.push_back(r.grad_norm);
      auto& optimizer = trainer.optimizer();
      for (const auto& unit : optimizer.rule_units())
        for (const auto& span : unit.spans)
          if (i == 0) result.gradients.push_back(on_host(trainer.queue(), span.states[0]));
      for (const auto* unit : optimizer.units())
        if (i == 1) result.weights.push_back(on_host(trainer.queue(), unit->master()));
    }
  });
  return result;
}

// Frozen weights, groups, and three rules.
template <class D>
struct Ruled : Recipe<Family<Tiny>, Parallel<fsdp>, On<D>, Optimize<AdamW, Adam, Muon>> {};

template <template <class> class R>
void equal_on_both(const Config& c, int ranks) {
  const Result cpu = train<ModelOf<R<Cpu>, Cpu, float>>(c, ranks);
  const Result cuda = train<ModelOf<R<Cuda>, Cuda, float>>(c, ranks);
  for (std::size_t i = 0; i < cpu.losses.size(); ++i) {
    CAPTURE(ranks, i);
    CHECK(cuda.losses[i] == Approx(cpu.losses[i]).epsilon(1e-5));
    CHECK(cuda.norms[i] == Approx(cpu.norms[i]).epsilon(1e-5));
  }
  for (std::size_t u = 0; u < cpu.gradients.size(); ++u) {
    CAPTURE(ranks, u);
    CHECK(relative_difference(cpu.gradients[u], cuda.gradients[u]) < 1e-5);
  }
  for (std::size_t u = 0; u < cpu.weights.size(); ++u) {
    CAPTURE(ranks, u);
    if (cpu.weights[u].empty()) continue;  // all is frozen
    CHECK(relative_difference(cpu.weights[u], cuda.weights[u]) < 1e-5);
  }
}

}  // namespace

TEST_CASE("the dense model on Cuda equals Cpu") {
  equal_on_both<Dense>(tiny_config("debugmodel"), 1);
  equal_on_both<Dense>(tiny_config("debugmodel"), 2);
  Config selective = tiny_config("debugmodel");
  selective.activation_checkpoint.mode = "selective";
  equal_on_both<Dense>(selective, 1);
}

TEST_CASE("the mixture of experts on Cuda equals Cpu") {
  equal_on_both<Experts>(tiny_config("moe"), 1);
  equal_on_both<Experts>(tiny_config("moe"), 2);
  Config spread = tiny_config("moe");
  spread.parallelism.expert_parallel_degree = 2;
  equal_on_both<Experts>(spread, 2);
}

TEST_CASE("rules, groups and frozen weights on Cuda equal Cpu") {
  Config c = tiny_config("debugmodel");
  c.optimizer.groups = {{.names = "layers.0.attention.*", .rule = "Frozen"},
                        {.names = "layers.*.feed_forward.w1.*", .rule = "Adam"},
                        {.names = "layers.*.feed_forward.*", .rule = "Muon"}};
  equal_on_both<Ruled>(c, 1);
  equal_on_both<Ruled>(c, 2);
}

TEST_CASE("adapters on Cuda equal Cpu, over a base that stays") {
  Config c = tiny_config("debugmodel");
  c.lora.rank = 4;
  equal_on_both<Adapted>(c, 1);
  c.parallelism.tensor_parallel_degree = 2;
  equal_on_both<Adapted>(c, 2);
}
