// Rules of the optimizer and groups of parameters: every layout equals one rank.
#include <cmath>

#include "train/equivalence.hpp"

using namespace equivalence;

namespace {

template <class F, Strategies S, class... Rules>
struct Ruled
    : Recipe<Family<F>, Parallel<S>, ActivationCheckpoint<None, Selective, Full>, Precision<F64>, Optimize<Rules...>> {
};

template <class R>
void check_layouts(bool experts, Config (*ruled)(Config)) {
  const Run alone = run<R>(ruled(base_config()), 1, 4);
  REQUIRE(alone.losses.back() < alone.losses.front());
  for (const auto& [ranks, layout] : sampled_layouts(experts)) {
    const std::string name = describe(layout, ranks);
    CAPTURE(name);
    const Difference d = compare(alone, run<R>(ruled(layout), ranks, 4));
    CAPTURE(d.worst);
    CHECK(d.loss < 1e-10);
    CHECK(d.grad_norm < 1e-10);
    CHECK(d.parameter < 1e-10);
  }
}

}  // namespace

TEST_CASE("Muon beside AdamW equals one rank on every layout: dense") {
  check_layouts<Ruled<TinyDense, ddp * fsdp * tp * pp, Muon, AdamW>>(false, [](Config c) {
    c.optimizer.adjust_lr = "match_rms_adamw";
    return c;
  });
}

TEST_CASE("Muon beside AdamW equals one rank on every layout: experts, two attentions, latent attention") {
  const auto as_it_is = [](Config c) { return c; };
  check_layouts<Ruled<TinyAlternating, ddp * fsdp * tp * pp * ep, Muon, AdamW>>(true, as_it_is);
  check_layouts<Ruled<TinyLatent, ddp * fsdp * tp * pp * ep, Muon, AdamW>>(true, as_it_is);
}

TEST_CASE("three rules, frozen weights and groups with rates of their own equal one rank on every layout") {
  check_layouts<Ruled<TinyAlternating, ddp * fsdp * tp * pp * ep, AdamW, Adam, Muon>>(true, [](Config c) {
    c.optimizer.nesterov = false;
    c.optimizer.groups = {{.names = "layers.1.attention.*", .rule = "Frozen"},
                          {.names = "*norm.weight", .lr_factor = 3, .weight_decay = 0.0},
                          {.names = "layers.*.attention.wo.*", .rule = "Adam", .lr_factor = 0.5},
                          {.names = "layers.0.*.w*", .rule = "Muon", .lr_factor = 2, .weight_decay = 0.3},
                          {.names = "layers.*.moe.experts.*", .rule = "Muon"}};
    return c;
  });
}
