// Every legal layout of 1, 2, 4 and 8 ranks over fsdp and ep, against one rank; and with tp, where each rank of tp
// routes the tokens that it holds.
#include <cstdlib>
#include <fstream>

#include "ashlar/moe/moe.hpp"
#include "train/equivalence.hpp"

using namespace equivalence;

namespace {

struct TinyMoe {
  static constexpr std::string_view name = "tiny_moe";
  static std::span<const Flavor> flavors() {
    static constexpr Flavor all[] = {
        {"debugmodel",
         {.dim = 32,
          .num_layers = 3,
          .num_heads = 4,
          .num_kv_heads = 2,
          .vocab_size = 32,
          .hidden_dim = 48,
          .num_dense_layers = 1,
          .moe = {.num_experts = 8, .top_k = 2, .hidden_dim = 16, .num_shared_experts = 1, .route_norm = true}}}};
    return all;
  }
};
struct MoeRecipe : Recipe<Family<TinyMoe>, Ffn<MoE<TopK<Sigmoid>>>, Parallel<fsdp * tp * ep>,
                          ActivationCheckpoint<None, Selective, Full>, Precision<F64>> {};

}  // namespace

TEST_CASE("every layout of the mixture of experts equals one rank") {
  const Run alone = run<MoeRecipe>(base_config(), 1, 5);
  REQUIRE(alone.losses.back() < alone.losses.front());
  REQUIRE(alone.tensors.contains("layers.1.moe.expert_bias"));
  std::string table;
  for (int n : {1, 2, 4, 8})
    for (int expert = 1; expert <= n; expert *= 2)
      for (int tensor = 1; tensor <= std::min(n, 2); tensor *= 2)
        for (const char* mode : {"none", "selective", "full"}) {
          if (n == 8 && std::string(mode) != "none") continue;
          Config c = base_config();
          c.parallelism.expert_parallel_degree = expert;
          c.parallelism.tensor_parallel_degree = tensor;
          c.parallelism.data_parallel_shard_degree = n / tensor;
          c.activation_checkpoint.mode = mode;
          c.training.local_batch_size = std::max(1, 8 * tensor / n / 2);
          const std::string name = describe(c, n);
          CAPTURE(name);
          const Difference d = compare(alone, run<MoeRecipe>(c, n, 5));
          CAPTURE(d.worst);
          CHECK(d.loss < 1e-10);
          CHECK(d.grad_norm < 1e-10);
          CHECK(d.parameter < 1e-10);
          table += table_row("mixture of experts", name, d);
        }
  if (const char* file = std::getenv("ASHLAR_EQUIVALENCE_TABLE")) std::ofstream(file, std::ios::app) << table;
}
