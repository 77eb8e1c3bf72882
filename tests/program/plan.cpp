// A plan is a promise: parameters by formula, and the bytes that the same run then holds, rank by rank.
#include "ashlar/program/plan.hpp"

#include <mutex>

#include "ashlar/comm/local.hpp"
#include "ashlar/models/llama3/llama3.hpp"
#include "ashlar/moe/moe.hpp"
#include "ashlar/nn/low_rank.hpp"
#include "catch.hpp"
#include "tiny_family.hpp"

using namespace ashlar;

namespace {

struct Dense : Recipe<Family<Tiny>, Parallel<ddp * fsdp * tp * pp>, ActivationCheckpoint<None, Selective, Full>,
                      Precision<F32, Bf16>> {};
struct Ruled : Recipe<Family<Tiny>, Parallel<ddp * fsdp * tp * pp>, ActivationCheckpoint<None, Selective, Full>,
                      Precision<F32, Bf16>, Optimize<Muon, AdamW>> {};
struct Experts : Recipe<Family<Tiny>, Ffn<MoE<TopK<Sigmoid>>>, Parallel<fsdp * tp * ep>,
                        ActivationCheckpoint<None, Selective, Full>, Precision<F32>> {};
struct Adapted : Recipe<Family<Tiny>, Weights<LowRank>, Parallel<ddp * fsdp * tp * pp>,
                        ActivationCheckpoint<None, Selective, Full>, Precision<F32, Bf16>> {};
struct Llama : Recipe<Family<Llama3>, Parallel<ddp * fsdp * tp * pp>, ActivationCheckpoint<None, Selective, Full>> {};
template <class R, class T, class D>
using Env = ModelOf<R, D, T>;

struct Bytes {
  std::size_t persistent = 0, arenas = 0;
};
template <class M>
Bytes held(Trainer<M>& trainer) {
  return {trainer.memory().persistent(), trainer.memory().arenas()};
}

/// What each rank holds after two steps of a real run, ranks as threads.
template <class M>
std::vector<Bytes> real(const Config& config, int ranks) {
  std::vector<Bytes> all(static_cast<std::size_t>(ranks));
  LocalWorld::run(ranks, [&](Communicator world) {
    Trainer<M> trainer(config, world);
    auto loader = trainer.loader(std::make_shared<RandomTokens>(1, 16));
    for (int i = 0; i < 2; ++i) trainer.step(loader.next());
    all[static_cast<std::size_t>(world.rank())] = held(trainer);
  });
  return all;
}

/// The same as make_plan counts it, on any rank.
template <class M>
Bytes planned(const Config& config, int rank, int ranks, Routing routing = Routing::balanced) {
  Trainer<M> trainer(config, Fake::world(rank, ranks, std::make_shared<FakeCounts>()));
  trainer.assume_routing(routing);
  trainer.step(HostBatch{trainer.batch().local_rows, trainer.batch().seq_len, {}, {}, {}});
  return held(trainer);
}

bool within(std::size_t a, std::size_t b, double share) {
  return std::abs(static_cast<double>(a) - static_cast<double>(b)) <= share * static_cast<double>(b);
}

Config small(int local_rows, int global_rows, int seq_len) {
  Config c;
  c.training.local_batch_size = local_rows;
  c.training.global_batch_size = global_rows;
  c.training.seq_len = seq_len;
  c.training.steps = 2;
  return c;
}

/// Each rank of a real run holds what the plan says, within 2 %.
template <class R, class T>
void check_ranks(const Config& config, int ranks) {
  const std::vector<Bytes> found = real<Env<R, T, Cpu>>(config, ranks);
  for (int rank = 0; rank < ranks; ++rank) {
    const Bytes plan = planned<Env<R, T, Meta>>(config, rank, ranks);
    const Bytes& run = found[static_cast<std::size_t>(rank)];
    CAPTURE(rank, plan.persistent, run.persistent, plan.arenas, run.arenas);
    CHECK(run.arenas > 0);
    CHECK(within(plan.persistent, run.persistent, 0.02));
    CHECK(within(plan.arenas, run.arenas, 0.02));
  }
}

/// Parameters of a Llama 3: per layer 2 D H hd + 2 D Hkv hd + 3 D F + 2 D; and 2 V D + D.
double by_formula(const DecoderSizes& s) {
  const double d = static_cast<double>(s.dim), hd = static_cast<double>(s.width_of_head());
  const double heads = static_cast<double>(s.num_heads), kv = static_cast<double>(s.num_kv_heads);
  const double layer = 2 * d * heads * hd + 2 * d * kv * hd + 3 * d * static_cast<double>(s.hidden_dim) + 2 * d;
  return static_cast<double>(s.num_layers) * layer + (s.tied ? 1 : 2) * static_cast<double>(s.vocab_size) * d + d;
}

void check_same(const Plan& got, const Plan& want) {
  REQUIRE(got.ranks.size() == want.ranks.size());
  CHECK(got.parameters == want.parameters);
  for (std::size_t i = 0; i < want.ranks.size(); ++i) {
    const RankPlan &a = got.ranks[i], &b = want.ranks[i];
    CAPTURE(i);
    CHECK(a.persistent_bytes == b.persistent_bytes);
    CHECK(a.arena_bytes == b.arena_bytes);
    CHECK(a.worst_arena_bytes == b.worst_arena_bytes);
    CHECK(a.flops == b.flops);
    CHECK(a.memory_traffic_bytes == b.memory_traffic_bytes);
    CHECK(a.traffic.axes == b.traffic.axes);
  }
  CHECK(got.degrees == want.degrees);
}

}  // namespace

TEST_CASE("plans count the parameters of every flavor") {
  const auto parameters = [](std::string_view flavor) {
    Config c;
    c.model.flavor = flavor;
    return make_plan<Env<Llama, Bf16, Meta>>(c).parameters;
  };
  CHECK(parameters("debugmodel") == 6163712.0);
  CHECK(parameters("8B") == 8030261248.0);
  CHECK(parameters("70B") == 70553706496.0);
  CHECK(parameters("405B") == 405853388800.0);
  for (const auto& flavor : Llama3::flavors()) {
    CAPTURE(flavor.name);
    CHECK(parameters(flavor.name) == by_formula(flavor.sizes));
  }
}

TEST_CASE("parameters are counted once on any layout") {
  Config c = small(4, -1, 4096);
  c.model.flavor = "405B";
  c.parallelism.pipeline_parallel_degree = 4;
  c.parallelism.data_parallel_shard_degree = 16;
  c.parallelism.tensor_parallel_degree = 8;
  const Plan plan = make_plan<Env<Llama, Bf16, Meta>>(c);
  CHECK(plan.world_size == 512);
  CHECK(plan.ranks.size() == 4);
  CHECK(plan.parameters == 405853388800.0);
}

TEST_CASE("one rank of the dense model holds what was planned") {
  for (const char* mode : {"none", "selective", "full"})
    for (const auto& [local, global, seq_len] : {std::tuple(1, 1, 64), std::tuple(4, 8, 32), std::tuple(8, 8, 128)}) {
      Config c = small(local, global, seq_len);
      c.activation_checkpoint.mode = mode;
      CAPTURE(mode, local, global, seq_len);
      for (const char* flavor : {"debugmodel", "tied"}) {
        c.model.flavor = flavor;
        check_ranks<Dense, F32>(c, 1);
      }
      check_ranks<Dense, Bf16>(c, 1);
    }
}

TEST_CASE("every rank of a layout holds what was planned") {
  struct Layout {
    int pp, replicate, shard, tp;
    const char* schedule;
  };
  for (const Layout& l : {Layout{1, 2, 1, 1, ""}, Layout{1, 1, 4, 1, ""}, Layout{1, 2, 2, 1, ""},
                          Layout{1, 1, 1, 4, ""}, Layout{1, 1, 2, 2, ""}, Layout{2, 1, 1, 1, "GPipe"},
                          Layout{2, 1, 1, 1, "1F1B"}, Layout{2, 1, 1, 2, "1F1B"}, Layout{2, 1, 2, 1, "1F1B"}})
    for (const char* mode : {"none", "selective", "full"}) {
      const int ranks = l.pp * l.replicate * l.shard * l.tp;
      Config c = small(4, 4 * l.replicate * l.shard, 64);
      c.parallelism.pipeline_parallel_degree = l.pp;
      c.parallelism.data_parallel_replicate_degree = l.replicate;
      c.parallelism.data_parallel_shard_degree = l.shard;
      c.parallelism.tensor_parallel_degree = l.tp;
      if (l.pp > 1) c.parallelism.pipeline_parallel_schedule = l.schedule;
      c.activation_checkpoint.mode = mode;
      CAPTURE(l.pp, l.replicate, l.shard, l.tp, l.schedule, mode);
      check_ranks<Dense, F32>(c, ranks);
      check_ranks<Dense, Bf16>(c, ranks);
    }
}

TEST_CASE("a mixture of experts holds between the balanced and the worst case") {
  for (int expert : {1, 2, 4})
    for (const char* mode : {"none", "selective", "full"}) {
      Config c = small(4, 4 * expert, 64);
      c.model.flavor = "moe";
      c.parallelism.data_parallel_shard_degree = expert;
      c.parallelism.expert_parallel_degree = expert;
      c.activation_checkpoint.mode = mode;
      CAPTURE(expert, mode);
      const std::vector<Bytes> found = real<Env<Experts, F32, Cpu>>(c, expert);
      std::size_t most = 0, worst = 0;
      for (int rank = 0; rank < expert; ++rank) {
        const auto balanced = planned<Env<Experts, F32, Meta>>(c, rank, expert);
        worst = planned<Env<Experts, F32, Meta>>(c, rank, expert, Routing::worst).arenas;
        const Bytes& run = found[static_cast<std::size_t>(rank)];
        CAPTURE(rank, balanced.arenas, run.arenas, worst);
        CHECK(within(balanced.persistent, run.persistent, 0.02));
        CHECK(run.arenas <= worst);
        if (expert == 1) CHECK(within(balanced.arenas, run.arenas, 0.02));
        CHECK(balanced.arenas <= worst);
        most = std::max(most, run.arenas);
      }
      // Some rank gets at least its share.
      CHECK(most * 102 / 100 >= planned<Env<Experts, F32, Meta>>(c, 0, expert).arenas);
    }
}

TEST_CASE("a plan reads as text and as JSON") {
  Config c = small(2, 4, 64);
  c.parallelism.pipeline_parallel_degree = 2;
  c.parallelism.data_parallel_shard_degree = 2;
  const Plan plan = make_plan<Env<Dense, F32, Meta>>(c);
  REQUIRE(plan.ranks.size() == 2);
  for (const RankPlan& r : plan.ranks) {
    CHECK(r.traffic["pp"].bytes > 0);
    CHECK(r.traffic["dp_shard"].bytes > 0);
    CHECK(r.traffic["tp"].bytes == 0);
    CHECK(r.flops > 0);
    CHECK(r.memory_traffic_bytes > 0);
    CHECK(r.worst_arena_bytes == r.arena_bytes);
  }
  CHECK(to_text(plan).find("on 4 ranks: pp 2 x dp_replicate 1 x dp_shard 2 x tp 1") != std::string::npos);
  CHECK(to_json(plan).find("{\"parameters\": ") == 0);
  for (const RankPlan& r : plan.ranks)
    CHECK(to_json(plan).find(concat(", \"memory_traffic_bytes\": ", r.memory_traffic_bytes, ",")) != std::string::npos);
}

TEST_CASE("frozen weights are planned as they are held: a value in the compute type, and nothing else", "[plan]") {
  Config all = small(4, 8, 12), frozen = all;
  frozen.optimizer.groups = {{.names = "layers.*", .rule = "Frozen"}};
  const double elements = 2 * (4 * 32 * 32 + 3 * 32 * 48 + 2 * 32);
  const auto bytes = [](auto type, const Config& c) {
    using T = decltype(type);
    return static_cast<double>(planned<Env<Dense, T, Meta>>(c, 0, 1).persistent);
  };
  // Less a master weight, a gradient and two moments; in bf16 the copy is what is left.
  CHECK(bytes(float{}, all) - bytes(float{}, frozen) == 12 * elements);
  CHECK(bytes(bf16{}, all) - bytes(bf16{}, frozen) == 16 * elements);

  frozen.optimizer.groups = {{.names = "layers.*.w*.weight", .rule = "Frozen"},
                             {.names = "output.*", .rule = "Frozen"}};
  frozen.training.local_batch_size = 2;
  for (const char* reshard : {"always", "never"}) {
    frozen.parallelism.fsdp_reshard_after_forward = reshard;
    frozen.parallelism.data_parallel_shard_degree = 4;
    frozen.parallelism.tensor_parallel_degree = 1;
    check_ranks<Dense, float>(frozen, 4);
    check_ranks<Dense, bf16>(frozen, 4);
    frozen.parallelism.data_parallel_shard_degree = 2;
    frozen.parallelism.tensor_parallel_degree = 2;
    check_ranks<Dense, bf16>(frozen, 4);
  }
  frozen.parallelism.pipeline_parallel_degree = 2;
  frozen.parallelism.tensor_parallel_degree = 1;
  check_ranks<Dense, float>(frozen, 4);

  // The products for their gradients are saved: a third of three.
  Trainer<Env<Dense, float, Meta>> trained(all);
  frozen = all;
  frozen.optimizer.groups = {{.names = "layers.*", .rule = "Frozen"}};
  Trainer<Env<Dense, float, Meta>> less(frozen);
  CHECK(trained.flops().per_token - less.flops().per_token == Approx(2 * elements));
}

TEST_CASE("states of rules are planned as they are held, and so is what Muon gathers", "[plan]") {
  Config config = small(4, 8, 12);
  const auto bytes = [](auto recipe, const Config& c) {
    return static_cast<double>(planned<Env<decltype(recipe), float, Meta>>(c, 0, 1).persistent);
  };
  // Two layers of matrices with one state less; and what Muon works in: a unit's directions, of the largest matrix
  // [48, 32] itself and a product, two Gram matrices, and a sum.
  const double matrices = 2 * (4 * 32 * 32 + 3 * 32 * 48), block = matrices / 2 + 2 * 32;
  CHECK(bytes(Dense{}, config) - bytes(Ruled{}, config) ==
        4 * matrices - 4 * (block + 2 * 48 * 32 + 2 * 32 * 32) - sizeof(double));
  for (const char* groups : {"", "names=layers.0.*,rule=Frozen;names=*.wo.weight,rule=AdamW"}) {
    config.optimizer.groups.clear();
    FieldList list = fields(config);
    assign(*list.find("optimizer.groups"), groups, "");
    config.training.local_batch_size = 2;
    config.parallelism.data_parallel_shard_degree = 4;
    config.parallelism.tensor_parallel_degree = 1;
    check_ranks<Ruled, float>(config, 4);
    check_ranks<Ruled, bf16>(config, 4);
    config.parallelism.data_parallel_shard_degree = 2;
    config.parallelism.tensor_parallel_degree = 2;
    check_ranks<Ruled, float>(config, 4);
    config.plan.world_size = 4;
    check_same(plan_recipe<Ruled, bf16>(config), make_plan<Env<Ruled, MetaFloat, Meta>>(config, DType::bf16));
  }
}

TEST_CASE("adapters are planned as they are held: the base is a value, and they alone have all else", "[plan]") {
  Config c = small(4, 8, 12);
  c.lora.rank = 16;
  const double base = 2 * (4 * 32 * 32 + 3 * 32 * 48 + 2 * 32) + 2 * 64 * 32 + 32;
  const double adapters = 2 * 16 * (4 * (32 + 32) + 3 * (32 + 48));
  const auto bytes = [&](auto type, auto recipe) {
    return static_cast<double>(planned<Env<decltype(recipe), decltype(type), Meta>>(c, 0, 1).persistent);
  };
  // Less a master weight, a gradient and two moments of the base; in bf16 the copy is what is left.
  CHECK(bytes(float{}, Dense{}) - bytes(float{}, Adapted{}) == 12 * base - 16 * adapters);
  CHECK(bytes(bf16{}, Dense{}) - bytes(bf16{}, Adapted{}) == 16 * base - 18 * adapters);
  c.training.local_batch_size = 2;
  for (const auto& [shard, tensor] : {std::pair(4, 1), {2, 2}, {1, 4}}) {
    c.parallelism.data_parallel_shard_degree = shard;
    c.parallelism.tensor_parallel_degree = tensor;
    check_ranks<Adapted, float>(c, 4);
    check_ranks<Adapted, bf16>(c, 4);
  }
  // plan_recipe plans the same model.
  c.parallelism.tensor_parallel_degree = 1;
  const Plan plan = plan_recipe<Adapted, float>(c);
  CHECK(plan.parameters == base + adapters);
}

TEST_CASE("MetaFloat plans what the compute type that it stands for does", "[plan]") {
  const auto check = [&]<class R, class T>(R, T, const Config& config) {
    check_same(make_plan<Env<R, MetaFloat, Meta>>(config, dtype_of<T>), make_plan<Env<R, T, Meta>>(config));
  };
  for (const char* mode : {"none", "selective", "full"}) {
    CAPTURE(mode);
    Config config = small(2, 8, 12);
    config.activation_checkpoint.mode = mode;
    config.parallelism.data_parallel_shard_degree = 2;
    config.parallelism.tensor_parallel_degree = 2;
    Config dense = config;
    dense.parallelism.pipeline_parallel_degree = 2;
    check(Dense{}, float{}, dense);
    check(Dense{}, bf16{}, dense);
    config.model.flavor = "moe";
    config.parallelism.expert_parallel_degree = 2;
    check(Experts{}, float{}, config);
    check(Experts{}, bf16{}, config);
  }
}

TEST_CASE("a recipe is planned with every strategy, and comes to what its own come to", "[plan]") {
  struct One : Recipe<Family<Tiny>, Ffn<MoE<TopK<Softmax>>>> {};
  struct Replicated : Recipe<Family<Tiny>, Parallel<ddp>, Precision<Bf16>> {};
  const auto check = [&]<class R, class T>(R, T, const Config& config) {
    check_same(plan_recipe<R, T>(config), make_plan<Env<R, MetaFloat, Meta>>(config, dtype_of<T>));
  };
  Config config = small(1, 8, 12);
  config.model.flavor = "moe";
  check(One{}, float{}, config);
  Config replicated = small(2, 8, 12);
  replicated.plan.world_size = 4;
  check(Replicated{}, bf16{}, replicated);  // what fsdp would shard replicates where there is none
  Config experts = small(4, 8, 12);
  experts.plan.world_size = 4;
  experts.model.flavor = "moe";
  experts.parallelism.tensor_parallel_degree = 2;
  experts.parallelism.expert_parallel_degree = 2;
  check(Experts{}, float{}, experts);

  Config tensor = small(2, 8, 12);
  tensor.plan.world_size = 2;
  tensor.parallelism.tensor_parallel_degree = 2;
  CHECK_THROWS_AS((plan_recipe<Replicated, bf16>(tensor)), ConfigError);
}
