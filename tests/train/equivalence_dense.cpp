// Every legal layout of 1, 2, 4 and 8 ranks over ddp, fsdp, tp and pp, against one rank.
#include <cstdlib>
#include <fstream>

#include "train/equivalence.hpp"

using namespace equivalence;

namespace {

struct TinyDense {
  static constexpr std::string_view name = "tiny_dense";
  static std::span<const Flavor> flavors() {
    static constexpr Flavor all[] = {
        {"debugmodel",
         {.dim = 32, .num_layers = 6, .num_heads = 8, .num_kv_heads = 8, .vocab_size = 32, .hidden_dim = 48}}};
    return all;
  }
};
struct Dense : Recipe<Family<TinyDense>, Attn<Flex<BlockCausal>>, Parallel<ddp * fsdp * tp * pp>,
                      ActivationCheckpoint<None, Selective, Full>, Precision<F64>> {};

std::vector<std::pair<int, Config>> layouts() {
  std::vector<std::pair<int, Config>> all;
  const auto add = [&](int n, int pipeline, int replicate, int shard, int tensor, const char* schedule,
                       const char* mode) {
    Config c = base_config();
    ParallelismConfig& p = c.parallelism;
    p.pipeline_parallel_degree = pipeline;
    p.data_parallel_replicate_degree = replicate;
    p.data_parallel_shard_degree = shard;
    p.tensor_parallel_degree = tensor;
    p.pipeline_parallel_schedule = schedule;
    c.activation_checkpoint.mode = mode;
    // Two micro-batches (gradient accumulation) where there are rows enough.
    const int rows = 8 / (replicate * shard);
    c.training.local_batch_size = pipeline > 1 ? rows : std::max(1, rows / 2);
    all.emplace_back(n, c);
  };
  for (const char* mode : {"none", "selective", "full"}) add(1, 1, 1, 1, 1, "1F1B", mode);
  for (int n : {2, 4, 8})
    for (int pipeline = 1; pipeline <= n; pipeline *= 2)
      for (int replicate = 1; pipeline * replicate <= n; replicate *= 2)
        for (int shard = 1; pipeline * replicate * shard <= n; shard *= 2) {
          const int tensor = n / (pipeline * replicate * shard);
          if (pipeline == 1) {
            add(n, pipeline, replicate, shard, tensor, "1F1B", "none");
            if (n == 4) add(n, pipeline, replicate, shard, tensor, "1F1B", "selective");
            if (n == 4) add(n, pipeline, replicate, shard, tensor, "1F1B", "full");
          } else {
            for (const char* schedule : {"GPipe", "1F1B", "ZBVZeroBubble"})
              add(n, pipeline, replicate, shard, tensor, schedule, "none");
            if (n == 4) add(n, pipeline, replicate, shard, tensor, "ZBVZeroBubble", "selective");
            if (n == 4) add(n, pipeline, replicate, shard, tensor, "ZBVZeroBubble", "full");
          }
        }
  for (const char* reshard : {"never", "always"}) {
    add(4, 1, 1, 4, 1, "1F1B", "none");
    all.back().second.parallelism.fsdp_reshard_after_forward = reshard;
    add(4, 2, 1, 2, 1, "1F1B", "none");
    all.back().second.parallelism.fsdp_reshard_after_forward = reshard;
  }
  return all;
}

}  // namespace

TEST_CASE("a comparison sees a NaN wherever it stands") {
  const Run good{{2, 1}, {1, 1}, {{"a", {1}}, {"b", {1}}}};
  CHECK(compare(good, good).loss == 0);
  for (const std::size_t at : {0, 1}) {
    Run bad = good;
    bad.losses[at] = bad.norms[at] = NAN;
    bad.tensors[at == 0 ? "a" : "b"] = {NAN};
    const Difference d = compare(good, bad);
    CHECK(std::isnan(d.loss));
    CHECK(std::isnan(d.grad_norm));
    CHECK(std::isnan(d.parameter));
    CHECK(d.worst == (at == 0 ? "a" : "b"));
  }
}

TEST_CASE("every layout of the dense model equals one rank") {
  const Run alone = run<Dense>(base_config(), 1, 5);
  REQUIRE(alone.losses.back() < alone.losses.front());
  std::string table;
  int compared = 0;
  for (const auto& [ranks, config] : layouts()) {
    const std::string name = describe(config, ranks);
    CAPTURE(name);
    Difference d;
    try {
      d = compare(alone, run<Dense>(config, ranks, 5));
    } catch (const ConfigError& error) {
      // The only layouts that are not legal here: more stages than layers.
      INFO(error.what());
      REQUIRE(config.parallelism.pipeline_parallel_schedule == "ZBVZeroBubble");
      REQUIRE(config.parallelism.pipeline_parallel_degree == 8);
      continue;
    }
    CAPTURE(d.worst);
    CHECK(d.loss < 1e-10);
    CHECK(d.grad_norm < 1e-10);
    CHECK(d.parameter < 1e-10);
    table += table_row("dense", name, d);
    ++compared;
  }
  CHECK(compared >= 80);
  if (const char* file = std::getenv("ASHLAR_EQUIVALENCE_TABLE")) std::ofstream(file, std::ios::app) << table;
}
