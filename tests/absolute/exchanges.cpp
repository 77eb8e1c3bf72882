// What a plan says is exchanged, axis by axis, is what is counted by hand for tiny layouts. A comparison of layouts
// sees what is exchanged, but not how often or how much of it is not needed.
#include "ashlar/program/plan.hpp"

#include "ashlar/moe/moe.hpp"
#include "catch.hpp"
#include "tiny_family.hpp"

using namespace ashlar;

namespace {
struct Dense : Recipe<Family<Tiny>, Parallel<ddp * fsdp * tp * pp>, Precision<F32, Bf16>> {};
struct Experts : Recipe<Family<Tiny>, Ffn<MoE<TopK<Sigmoid>>>, Parallel<fsdp * tp * ep>> {};
}  // namespace

TEST_CASE("planned exchanges are those counted by hand", "[plan]") {
  // A step of 8 rows of 16 tokens, 2 a micro-batch; a row of activations has 32 floats. Units: the embedding 64 x 32,
  // each layer 4 x 32^2 + 3 x 32 x 48 + 2 x 32, the output 64 x 32 + 32.
  constexpr std::int64_t embedding = 2048, layer = 8768, output = 2080, all = embedding + 2 * layer + output;
  using Traffic = FakeCounts::Traffic;
  Config base;
  base.training.local_batch_size = 2;
  base.training.global_batch_size = 8;
  base.training.seq_len = 16;

  const auto exchanges = [&]<class M>(std::type_identity<M>, auto change) {
    Config c = base;
    c.parallelism.data_parallel_shard_degree = 1;
    change(c, c.parallelism);
    return make_plan<M>(c).ranks;
  };
  const std::type_identity<ModelOf<Dense, Meta, F32>> f32;

  SECTION("ddp: a ring's all-reduce of the gradients, 2 (n - 1) / n of them, once a step") {
    for (const int n : {2, 4}) {
      const auto ranks = exchanges(f32, [&](Config&, auto& p) { p.data_parallel_replicate_degree = n; });
      CHECK(ranks[0].traffic["dp_replicate"] == Traffic{4 * 2 * (n - 1), 4 * all * 2 * (n - 1) / n});
      CHECK(ranks[0].traffic["world"] == Traffic{2 * (n - 1), 8 * 2 * (n - 1) / n});  // the norm's sum, a double
    }
  }
  SECTION("fsdp: halves of weights are gathered, halves of gradients sent") {
    const auto sharded = [](const char* reshard) {
      return [=](Config&, auto& p) {
        p.data_parallel_shard_degree = 2;
        p.fsdp_reshard_after_forward = reshard;
      };
    };
    // Two micro-batches. The ends' gradients once, the layers' each time.
    const std::int64_t sent = 4 * (embedding + output) / 2 + 2 * 2 * 4 * layer / 2;
    // Given back after use: in each micro-batch both layers forward, and the first again backward.
    const std::int64_t given_back = 4 * (embedding + output) / 2 + 2 * 3 * 4 * layer / 2;
    CHECK(exchanges(f32, sharded("always"))[0].traffic["dp_shard"] == Traffic{8 + 6, given_back + sent});
    CHECK(exchanges(f32, sharded("never"))[0].traffic["dp_shard"] == Traffic{4 + 6, 4 * all / 2 + sent});
    // In bf16 weights have 2 bytes, gradients 4.
    const std::type_identity<ModelOf<Dense, Meta, Bf16>> bf16;
    CHECK(exchanges(bf16, sharded("never"))[0].traffic["dp_shard"] == Traffic{4 + 6, 2 * all / 2 + sent});
  }
  SECTION("tp: rows around each module, three numbers a token in the loss, the norms' gradients") {
    // Half of 32 tokens' rows: embedding 2, each layer 2 x 2 forward and 2 x 2 backward, output 2. Four micro-batches.
    const std::int64_t rows = 4 * 16 * 32, statistics = 4 * 32 * 3, norms = 4 * (2 * 2 * 32 + 32);
    const auto ranks = exchanges(f32, [](Config&, auto& p) { p.tensor_parallel_degree = 2; });
    CHECK(ranks[0].traffic["tp"] == Traffic{4 * (20 + 1) + 2 * 3, 4 * (20 * rows + statistics) + norms});
  }
  SECTION("pp: activations one way, their gradients the other, a row at a time") {
    const auto ranks = exchanges(f32, [](Config&, auto& p) { p.pipeline_parallel_degree = 2; });
    REQUIRE(ranks.size() == 2);
    for (const RankPlan& r : ranks) CHECK(r.traffic["pp"] == Traffic{8, 8 * 4 * 16 * 32});
  }
  SECTION("ep: there and back, forward and backward; counts once; experts are not gathered") {
    const auto ranks = exchanges(std::type_identity<ModelOf<Experts, Meta, F32>>(), [](Config& c, auto& p) {
      c.model.flavor = "moe";
      p.data_parallel_shard_degree = p.expert_parallel_degree = 2;
    });
    // 32 tokens with 2 of 4 experts each: half of 64 rows leave. Two layers, two micro-batches.
    CHECK(ranks[0].traffic["ep"] == Traffic{2 * 2 * 5, 2 * 2 * (4 * 4 * 32 * 32 + 4 * 2)});
    CHECK(ranks[0].traffic["data_and_tensor"] == Traffic{2, 2 * 4 * 4});  // tokens an expert had, at once
    // Attention, norms, the gate and the shared expert. Backward gathers all but the last layer again.
    constexpr std::int64_t mixture = 4096 + 64 + 4 * 32 + 3 * 16 * 32, ends = embedding + output;
    CHECK(
        ranks[0].traffic["dp_shard"] ==
        Traffic{2 + 2 * 5 + 2 + 2 * 3, 4 * (2 * ends + 2 * (2 * layer + 3 * mixture) + 2 * (layer + 2 * mixture)) / 2});
  }
}
