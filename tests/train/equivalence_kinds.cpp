// Families whose attention or table of layers is of another kind than Llama 3's, on a sample of layouts, against one
// rank.
#include <cstdlib>
#include <fstream>

#include "train/equivalence.hpp"

using namespace equivalence;

namespace {

template <class F, Strategies S>
void check_family(const char* title) {
  const Run alone = run<OfFamily<F, S>>(base_config(), 1, 4);
  REQUIRE(alone.losses.back() < alone.losses.front());
  std::string table;
  for (const auto& [ranks, config] : sampled_layouts(true)) {
    const std::string name = describe(config, ranks);
    CAPTURE(F::name, name);
    const Difference d = compare(alone, run<OfFamily<F, S>>(config, ranks, 4));
    CAPTURE(d.worst);
    CHECK(d.loss < 1e-10);
    CHECK(d.grad_norm < 1e-10);
    CHECK(d.parameter < 1e-10);
    table += table_row(title, name, d);
  }
  if (const char* file = std::getenv("ASHLAR_EQUIVALENCE_TABLE")) std::ofstream(file, std::ios::app) << table;
}

}  // namespace

TEST_CASE("Llama 4 equals one rank on every layout") {
  check_family<TinyAlternating, ddp * fsdp * tp * pp * ep>("Llama 4");
}

TEST_CASE("DeepSeek-V3 equals one rank on every layout") {
  check_family<TinyLatent, ddp * fsdp * tp * pp * ep>("DeepSeek-V3");
}

TEST_CASE("Qwen3 equals one rank on every layout") {
  check_family<TinyNormed, ddp * fsdp * tp * pp * ep>("Qwen3");
}

TEST_CASE("a table that names a kind which was not compiled in is an error that says so") {
  struct NoExperts : Recipe<Family<TinyAlternating>, Ffn<SwiGlu>> {};
  struct OneAttention : Recipe<Family<TinyAlternating>, Attn<Sdpa>> {};
  const auto message = [](auto make) -> std::string {
    try {
      make();
    } catch (const ConfigError& e) {
      return e.what();
    }
    return "";
  };
  CHECK(message([] { Trainer<ModelOf<NoExperts>> trainer(base_config()); }).find("write Ffn<MoE<...>>") !=
        std::string::npos);
  CHECK(message([] { Trainer<ModelOf<OneAttention>> trainer(base_config()); }).find("name more in Attn<...>") !=
        std::string::npos);
}

TEST_CASE("Llama 4's table: which layers are global, and which are mixtures of experts") {
  const auto& sizes = Llama4::flavors()[0].sizes;
  std::vector<std::pair<int, int>> kinds;
  for (int l = 0; l < sizes.num_layers; ++l) {
    const LayerKind kind = Llama4::layer(sizes, l);
    kinds.emplace_back(kind.attention, kind.feed_forward);
  }
  CHECK(kinds == std::vector<std::pair<int, int>>{{0, 0}, {0, 1}, {0, 0}, {1, 1}, {0, 0}, {0, 1}});
}
