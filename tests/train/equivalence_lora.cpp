// Adapters of low rank: the base keeps its values, and every layout equals one rank.
#include "ashlar/nn/low_rank.hpp"
#include "train/equivalence.hpp"

using namespace equivalence;

namespace {

template <class F, Strategies S, class... More>
struct Adapted : Recipe<Family<F>, Weights<LowRank>, Parallel<S>, ActivationCheckpoint<None, Selective, Full>,
                        Precision<F64>, More...> {};

Config adapted(Config c) {
  c.lora.rank = 4;
  c.lora.alpha = 6;
  c.optimizer.lr = 5e-2;
  return c;
}

template <class F, Strategies S, class... More>
void check_family(const std::vector<Layout>& layouts) {
  using R = Adapted<F, S, More...>;
  constexpr int steps = 4;
  const Run alone = run<R>(adapted(base_config()), 1, steps), before = run<R>(adapted(base_config()), 1, 0);
  REQUIRE(alone.losses.back() < alone.losses.front());
  std::size_t adapters = 0;
  for (const auto& [name, values] : before.tensors) {
    INFO(name);
    adapters += is_adapter(name);
    if (name.find("expert_bias") == std::string::npos) CHECK((alone.tensors.at(name) == values) != is_adapter(name));
    if (name.ends_with(adapter_b)) CHECK(values == std::vector<double>(values.size()));
  }
  CHECK(adapters >= 2 * 7);
  for (const auto& [ranks, config] : layouts) {
    const std::string name = describe(config, ranks);
    CAPTURE(F::name, name);
    Run got;
    try {
      got = run<R>(adapted(config), ranks, steps);
    } catch (const ConfigError&) {
      // More pipeline stages than layers.
      REQUIRE(config.parallelism.pipeline_parallel_schedule == "ZBVZeroBubble");
      REQUIRE(config.parallelism.pipeline_parallel_degree == 8);
      continue;
    }
    const Difference d = compare(alone, got);
    CAPTURE(d.worst);
    CHECK(d.loss < 1e-10);
    CHECK(d.grad_norm < 1e-10);
    CHECK(d.parameter < 1e-10);
  }
}

}  // namespace

TEST_CASE("a dense model with adapters equals one rank on every layout, and its base stays") {
  check_family<TinyDense, ddp * fsdp * tp * pp>(dense_layouts());
}

TEST_CASE("adapters beside frozen experts equal one rank on every layout") {
  check_family<TinyMoe, fsdp * tp * ep, Ffn<MoE<TopK<Sigmoid>>>>(expert_layouts());
}

TEST_CASE("adapters in latent attention, where some weights are whole on each rank of tp, equal one rank") {
  check_family<TinyLatent, ddp * fsdp * tp * pp * ep>(sampled_layouts(true));
}

TEST_CASE("adapters that no projection has are an error that says so") {
  Config c = adapted(base_config());
  c.lora.targets = {"layers.*.attn.*"};
  std::string message;
  try {
    run<Adapted<TinyDense, single>>(c, 1, 0);
  } catch (const ConfigError& e) {
    message = e.what();
  }
  CHECK(message.find("--lora.targets") != std::string::npos);
}
