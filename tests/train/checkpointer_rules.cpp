// States of rules in checkpoints: by the rules' names for them, on any layout, with frozen weights and groups.
#include "train/checkpoint_runs.hpp"

using namespace ashlar;
using namespace ashlar::test;
namespace fs = std::filesystem;

namespace {

struct Ruled
    : Recipe<Family<Tiny>, Ffn<MoE<TopK<Sigmoid>>>, Parallel<ddp * fsdp * tp * pp * ep>, Optimize<Muon, AdamW, Adam>> {
};
using RuledModel = ModelOf<Ruled, Cpu, float>;

Config ruled(Config c) {
  c.model.flavor = "moe";
  c.optimizer.groups = {{.names = "layers.0.attention.*", .rule = "Frozen"},
                        {.names = "*.wo.weight", .rule = "Adam"},
                        {.names = "layers.1.*.w*.weight", .lr_factor = 0.5}};
  return c;
}

}  // namespace

TEST_CASE("states have the names of their rules, and load on any layout") {
  TemporaryFolder from;
  train<RuledModel>(ruled(config_of(from.path(), {.shard = 4, .expert = 2})), 3);
  const fs::path saved = from.path() / "checkpoint/step-3";
  const Tensors original = tensors_of(saved);
  const auto states = [&](const std::string& parameter) {
    std::vector<std::string> names;
    for (const auto& [name, bytes] : original)
      if (name.starts_with("optimizer.") && name.ends_with("." + parameter))
        names.push_back(name.substr(10, name.size() - 11 - parameter.size()));
    return names;
  };
  using Names = std::vector<std::string>;
  CHECK(states("layers.1.attention.wq.weight") == Names{"momentum_buffer"});
  CHECK(states("layers.2.moe.experts.w1") == Names{"momentum_buffer"});
  CHECK(states("layers.1.attention.wo.weight") == Names{"exp_avg", "exp_avg_sq"});
  CHECK(states("tok_embeddings.weight") == Names{"exp_avg", "exp_avg_sq"});
  CHECK(states("output.weight") == Names{"exp_avg", "exp_avg_sq"});
  CHECK(states("layers.1.ffn_norm.weight") == Names{"exp_avg", "exp_avg_sq"});
  CHECK(states("layers.0.attention.wq.weight").empty());
  for (const Layout& layout : {Layout{}, Layout{.shard = 2, .tensor = 2, .expert = 4}, Layout{.tensor = 4},
                               Layout{.replicate = 2, .shard = 2, .expert = 2}, Layout{.shard = 2, .pipeline = 2}}) {
    INFO(layout.replicate << " x " << layout.shard << " x " << layout.tensor << " x " << layout.pipeline << ", ep "
                          << layout.expert);
    check_alike(original, saved_again<RuledModel>(saved, ruled(config_of(from.path(), layout))));
  }
}

TEST_CASE("a resumed run with rules and groups is the uninterrupted one, bit by bit") {
  for (const Layout& layout : {Layout{}, Layout{.shard = 2, .tensor = 2, .expert = 2}}) {
    TemporaryFolder whole, parts;
    const Outcome through = train<RuledModel>(ruled(config_of(whole.path(), layout)), 6);
    train<RuledModel>(ruled(config_of(parts.path(), layout)), 3);
    const Outcome second = train<RuledModel>(ruled(config_of(parts.path(), layout)), 6);
    CHECK(second.loaded);
    CHECK(second.losses == std::vector<double>(through.losses.begin() + 3, through.losses.end()));
    check_alike(tensors_of(whole.path() / "checkpoint/step-6"), tensors_of(parts.path() / "checkpoint/step-6"));
  }
}

TEST_CASE("a rule that the checkpoint has no states of is an error that names the state") {
  TemporaryFolder folder;
  train<RuledModel>(ruled(config_of(folder.path())), 3);
  Config other = ruled(config_of(folder.path()));
  other.optimizer.groups[1].rule = "AdamW";  // its states are the same two
  other.optimizer.groups.push_back({.names = "layers.2.ffn_norm.weight", .rule = "Adam"});
  CHECK(error_of([&] { train<RuledModel>(other, 3); }).empty());
  other.optimizer.groups.push_back({.names = "layers.2.attention.wq.weight", .rule = "Adam"});
  CHECK(mentions(error_of([&] { train<RuledModel>(other, 3); }), "optimizer.exp_avg.layers.2.attention.wq.weight"));
  other.checkpoint.exclude_from_loading = {"optimizer"};
  CHECK(error_of([&] { train<RuledModel>(other, 4); }).empty());
}
