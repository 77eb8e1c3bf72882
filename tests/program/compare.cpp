// The compare mode: layouts that are right agree in every tensor of a step, and of what is wrong the first tensor is
// named, with the rank. The faults are real ones: of communication, of a module, of a rank's configuration.
#include "ashlar/program/compare.hpp"

#include "ashlar/comm/local.hpp"
#include "checkpoint/temporary_folder.hpp"
#include "models/joint_recipe.hpp"
#include "program/faulty_backend.hpp"
#include "train/layouts.hpp"

#include "catch.hpp"

using namespace ashlar;
using equivalence::base_config;
using test::Fault;

namespace {

using DenseModel = ModelOf<equivalence::Dense<Cpu>, Cpu, double>;
using ExpertModel = ModelOf<equivalence::Experts<Cpu>, Cpu, double>;
using LatentModel = ModelOf<equivalence::OfFamily<equivalence::TinyLatent, ddp * fsdp * tp * pp * ep>, Cpu, double>;
using JointModel = ModelOf<test::Images<Cpu>, Cpu, double>;

template <class M>
MakeRun make() {
  return [](const Config& c, Communicator world) {
    if constexpr (std::is_same_v<M, JointModel>)
      return observe_run<M>(c, world, test::latents(c));
    else
      return observe_run<M>(
          c, world, std::make_shared<TokenRows>(std::make_shared<equivalence::Documents>(), c.training.seq_len));
  };
}

Config with(Config c, int pipeline, int replicate, int shard, int tensor, int expert = 1) {
  c.parallelism.pipeline_parallel_degree = pipeline;
  c.parallelism.data_parallel_replicate_degree = replicate;
  c.parallelism.data_parallel_shard_degree = shard;
  c.parallelism.tensor_parallel_degree = tensor;
  c.parallelism.expert_parallel_degree = expert;
  c.training.local_batch_size = std::max(1, 4 / (replicate * shard));
  c.training.steps = 2;
  c.debug.compare = "layout";
  return c;
}

/// What the compare mode says of `config`; `change` makes rank r's configuration its own.
template <class M>
Comparison compared(const TemporaryFolder& folder, Config config, const Fault& fault = {},
                    const std::function<void(int, Config&)>& change = {}) {
  config.job.dump_folder = folder.path().string();
  Comparison result;
  LocalWorld::run(compared_ranks(config), [&](Communicator world) {
    Config mine = config;
    if (change) change(world.rank(), mine);
    const Communicator faulty = world.size() == 1 ? world : test::FaultyBackend::world(world, fault);
    const Comparison here = compare_runs(mine, faulty, make<M>());
    if (world.rank() == 0) result = here;
  });
  return result;
}

/// Attention of which, in layer 1, the second rank of tp turns its heads by other angles.
struct WronglyTurned {
  template <class E>
  class Module : public GroupedQueryAttention<E, Causal, Rope<>, NoNorm> {
    using Base = GroupedQueryAttention<E, Causal, Rope<>, NoNorm>;

   public:
    Module(Declarations<E> d, const GroupedQuerySizes& s, int layer, const RopeTable<E>& rope, double depth_std)
        : Module(d, s, layer, rope, depth_std,
                 std::make_shared<RopeTable<E>>(d.memory(), d.queue(), 8, s.head_dim, 50.0)) {}

   private:
    Module(Declarations<E> d, const GroupedQuerySizes& s, int layer, const RopeTable<E>& rope, double depth_std,
           std::shared_ptr<RopeTable<E>> wrong)
        : Base(d, s, layer, layer == 1 && d.place(Axis::tp).coordinate == 1 ? *wrong : rope, depth_std),
          wrong_(std::move(wrong)) {}
    std::shared_ptr<RopeTable<E>> wrong_;
  };
};
using TurnedModel =
    ModelOf<Recipe<Family<equivalence::TinyDense>, Attn<WronglyTurned>, Parallel<fsdp * tp>>, Cpu, double>;

}  // namespace

TEST_CASE("what two layouts observe agrees, tensor by tensor") {
  const TemporaryFolder folder;
  const auto agree = [&]<class M>(std::type_identity<M>, const Config& config, const char* reference = "") {
    Config c = config;
    c.debug.layout = reference;
    const Comparison r = compared<M>(folder, c);
    CAPTURE(r.difference, c.debug.layout);
    CHECK(r.difference == "");
    CHECK(r.steps == 2);
    CHECK(r.tensors > 100);
    CHECK(r.greatest < 1e-9);
    CHECK(r.greatest > 0);
    CHECK(mentions(to_string(r), " tensors of 2 steps agree; the greatest relative difference is "));
    CHECK(std::filesystem::is_empty(folder.path()));
  };
  const std::type_identity<DenseModel> dense;
  const std::type_identity<ExpertModel> experts;
  const std::type_identity<LatentModel> latent;
  const std::type_identity<JointModel> joint;
  const Config base = base_config(), images = test::joint_config();
  agree(dense, with(base, 1, 1, 2, 2));
  agree(dense, with(base, 2, 1, 1, 2));
  agree(dense, with(base, 1, 2, 1, 2), "pp=2,dp_shard=2");
  Config zbv = with(base, 2, 1, 2, 1);
  zbv.parallelism.pipeline_parallel_schedule = "ZBVZeroBubble";
  zbv.activation_checkpoint.mode = "full";
  agree(dense, zbv, "tp=2");
  agree(experts, with(base, 1, 1, 2, 2, 4));
  agree(latent, with(base, 2, 1, 1, 2));
  agree(joint, with(images, 1, 1, 2, 2));
  agree(joint, with(images, 2, 1, 1, 2), "tp=4");
}

TEST_CASE("a fault is named by the first tensor that it spoils, and where") {
  const TemporaryFolder folder;
  const auto first = [&](const Comparison& r) {
    CAPTURE(r.difference);
    CHECK(mentions(r.difference, "the first difference is in "));
    return r.difference;
  };
  const Config tensor = with(base_config(), 1, 1, 1, 2), sharded = with(base_config(), 1, 1, 2, 1);
  SECTION("a rank's heads are turned by other angles") {
    const std::string text = first(compared<TurnedModel>(folder, tensor));
    CHECK(mentions(text, "step 1: the first difference is in layers.1.attention.query (forward), element ["));
    CHECK(mentions(text, " of [64, 32]: "));
    CHECK(mentions(text, " on rank 1, micro-batch 0, where"));
  }
  SECTION("gathered rows are in another order on one rank") {
    const std::string text = first(compared<DenseModel>(folder, tensor, {Fault::Kind::rotated_gather, "tp"}));
    CHECK(mentions(text, "step 1: the first difference is in layers.0.attention.query (forward)"));
    CHECK(mentions(text, " on rank 1, micro-batch 0,"));
  }
  SECTION("partial sums are not summed") {
    const std::string text = first(compared<DenseModel>(folder, tensor, {Fault::Kind::unsummed_scatter, "tp"}));
    CHECK(mentions(text, "step 1: the first difference is in tok_embeddings (forward)"));
  }
  SECTION("gradients of norms are not summed over tp") {
    const std::string text = first(compared<DenseModel>(folder, tensor, {Fault::Kind::no_all_reduce, "tp"}));
    CHECK(mentions(text, "step 1: the first difference is in layers.0.attention_norm.weight (gradient of a weight)"));
    CHECK(mentions(text, " on rank 0, where"));
  }
  SECTION("gradients are not summed over the batch") {
    const std::string text = first(compared<DenseModel>(folder, sharded, {Fault::Kind::unsummed_scatter, "dp_shard"}));
    CHECK(mentions(text, "step 1: the first difference is in tok_embeddings.weight (gradient of a weight)"));
  }
  SECTION("what goes back through the pipeline has another sign") {
    const Config c = with(base_config(), 2, 1, 1, 1);
    const std::string text = first(compared<DenseModel>(folder, c, {Fault::Kind::gradient_sign_flipped, "pp"}));
    CHECK(mentions(text, "step 1: the first difference is in layers.2.attention.query (backward)"));
    CHECK(mentions(text, " on rank 0, micro-batch 0,"));
  }
  SECTION("a token's row does not reach its expert") {
    const Config c = with(base_config(), 1, 1, 2, 1, 2);
    const std::string text = first(compared<ExpertModel>(folder, c, {Fault::Kind::first_row_lost, "ep"}));
    CHECK(mentions(text, "step 1: the first difference is in layers.1.feed_forward.combined (forward)"));
    CHECK(mentions(text, " on rank 0, micro-batch 0,"));  // its row does not come back
  }
  SECTION("a rank's optimizer steps too far, in the second step") {
    const auto further = [](int rank, Config& c) {
      if (rank == 1) c.lr_scheduler.min_lr_factor = 0.9;
    };
    Config c = sharded;
    c.lr_scheduler = {0, 1.0, "linear", 0};
    const std::string text = first(compared<DenseModel>(folder, c, {}, further));
    CHECK(mentions(text, "(after the step), element ["));
    CHECK(mentions(text, " on rank 1, where"));
    CHECK(mentions(text, "step 2: the first difference is in tok_embeddings.weight (after the step)"));
  }
}

TEST_CASE("a recorded run is one reference for all layouts, and its boxes fill each tensor") {
  const TemporaryFolder folder;
  Config c = with(base_config(), 1, 1, 2, 2);
  c.debug.record = (folder.path() / "recorded").string();
  LocalWorld::run(4, [&](Communicator world) { CHECK(record_run(c, world, make<DenseModel>()) == 2); });
  auto recorded = open_checkpoint(step_folder(c.debug.record, 1));
  std::size_t gradients = 0;
  for (const auto& [name, tensor] : recorded.index.tensors()) {
    CAPTURE(name);
    std::vector<double> values(static_cast<std::size_t>(tensor.shape.count()));
    CHECK_NOTHROW(recorded.index.read(name, TensorBox::whole(tensor.shape), DType::f64,
                                      reinterpret_cast<std::byte*>(values.data())));
    gradients += name.starts_with("gradient.");
  }
  CHECK(recorded.index.find("forward.layers.5.attention.key").shape == Shape{64, 32});
  CHECK(recorded.index.find("forward.logits").shape == Shape{64, 32});
  CHECK(recorded.index.find("backward.layers.0.attention.x").shape == Shape{64, 32});
  CHECK(gradients == 6 * 9 + 3);

  c = with(base_config(), 2, 1, 1, 1);
  c.training.steps = 5;  // the recording ends before
  c.debug.compare = c.debug.record = (folder.path() / "recorded").string();
  const auto run = [&](double tolerance) {
    Comparison result;
    c.debug.tolerance = tolerance;
    LocalWorld::run(2, [&](Communicator world) {
      const Comparison here = compare_runs(c, world, make<DenseModel>());
      if (world.rank() == 1) result = here;
    });
    return result;
  };
  const Comparison agreed = run(0);
  CHECK(agreed.difference == "");
  CHECK(agreed.steps == 2);
  CHECK(mentions(run(agreed.greatest / 2).difference, "step "));

  c.training.seed = 1;
  CHECK(mentions(run(0).difference, "step 1: the first difference is in tok_embeddings (forward)"));
  c.training.seq_len = 4;
  CHECK(mentions(error_of([&] { run(0); }), "was that of the same flavor, global batch and sequence length?"));
  c.debug.compare = (folder.path() / "nothing").string();
  CHECK(mentions(error_of([&] { run(0); }), "holds no step 1; fill a folder with --debug.record"));
}

TEST_CASE("a layout in words") {
  Config c = with(base_config(), 1, 1, 1, 1);
  c.debug.layout = "tp=2,pp=3";
  CHECK(compared_ranks(c) == 6);
  for (const char* wrong : {"tp", "tp=", "tp=0", "tp=2x", "cp=2", "tp=2;pp=2", "=2"}) {
    c.debug.layout = wrong;
    CHECK(mentions(error_of([&] { compared_ranks(c); }), "is no degree of an axis"));
  }
}
