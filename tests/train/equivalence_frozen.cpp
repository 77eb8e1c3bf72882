// Frozen parameters: they keep their values, what is trained moves as it would beside trained ones, and every layout
// equals one rank.
#include "train/equivalence.hpp"

using namespace equivalence;

namespace {

// Attention, an embedding and one expert tensor are frozen, and with `whole_layer` all of layer 1.
Config freeze(Config c, bool whole_layer = true) {
  c.optimizer.groups = {{.names = "tok_embeddings.*", .rule = "Frozen"},
                        {.names = "layers.*.attention.w*", .rule = "Frozen"},
                        {.names = "*.attention_norm.*", .rule = "Frozen"}};
  if (whole_layer) c.optimizer.groups.push_back({.names = "layers.1.*", .rule = "Frozen"});
  return c;
}
bool is_frozen(const std::string& name) {
  return name.starts_with("tok_embeddings.") || name.starts_with("layers.1.") ||
         name.find(".attention.w") != std::string::npos || name.find(".attention_norm.") != std::string::npos;
}

template <class F, Strategies S>
void check_family(bool experts) {
  const Config config = freeze(base_config());
  const Run alone = run<OfFamily<F, S>>(config, 1, 4), before = run<OfFamily<F, S>>(config, 1, 0);
  REQUIRE(alone.losses.back() < alone.losses.front());
  for (const auto& [name, values] : before.tensors) {
    INFO(name);
    if (name.find("expert_bias") == std::string::npos) CHECK((alone.tensors.at(name) == values) == is_frozen(name));
  }
  for (const auto& [ranks, layout] : sampled_layouts(experts)) {
    const std::string name = describe(layout, ranks);
    CAPTURE(F::name, name);
    const Difference d = compare(alone, run<OfFamily<F, S>>(freeze(layout), ranks, 4));
    CAPTURE(d.worst);
    CHECK(d.loss < 1e-10);
    CHECK(d.grad_norm < 1e-10);
    CHECK(d.parameter < 1e-10);
  }
}

}  // namespace

TEST_CASE("a partly frozen model equals one rank on every layout, and what is frozen stays") {
  check_family<TinyDense, ddp * fsdp * tp * pp>(false);
  check_family<TinyAlternating, ddp * fsdp * tp * pp * ep>(true);
}

TEST_CASE("what is trained beside frozen weights takes the step that it would take beside trained ones") {
  Config c = base_config();
  c.training.max_norm = 1e9;  // the norm is another one
  using R = OfFamily<TinyDense, single>;
  const Run all = run<R>(c, 1, 1), part = run<R>(freeze(c), 1, 1);
  CHECK(all.losses == part.losses);
  CHECK(part.norms[0] < all.norms[0]);
  for (const auto& [name, values] : all.tensors) {
    INFO(name);
    CHECK((part.tensors.at(name) == values) == !is_frozen(name));
  }
}

TEST_CASE("a group that matches no parameter is an error that names it, also where another stage would have it") {
  Config c = base_config();
  c.optimizer.groups = {{.names = "layers.*.attn.*", .rule = "Frozen"}};
  const auto message = [](const Config& config, int ranks) {
    std::string text;
    try {
      run<OfFamily<TinyDense, pp>>(config, ranks, 0);
    } catch (const ConfigError& e) {
      text = e.what();
    }
    return text;
  };
  CHECK(message(c, 1).find("\"layers.*.attn.*\" matches no parameter") != std::string::npos);
  c.optimizer.groups = {{.names = "layers.*", .rule = "Frozen"}, {.names = "layers.2.*", .rule = "Frozen"}};
  CHECK(message(c, 1).find("\"layers.2.*\" matches no parameter that an earlier group has not") != std::string::npos);
  c.optimizer.groups = {{.names = "tok_embeddings.*", .rule = "Frozen"}, {.names = "output.*", .rule = "Frozen"}};
  c.parallelism.pipeline_parallel_degree = 2;
  c.training.local_batch_size = 8;
  CHECK(message(c, 2).empty());
}
