// The example of docs/adding/a_router.md, which quotes the parts between the markers.
#include <cmath>
#include <mutex>
#include <vector>

#include "ashlar/comm/local.hpp"
#include "ashlar/program/plan.hpp"
#include "ashlar/train/trainer.hpp"
#include "catch.hpp"
#include "tiny_family.hpp"

using namespace ashlar;

// [module]
/// Sends a token to experts by a hash of its id, all with the same weight (Roller et al. 2021, arXiv:2106.04426).
template <class E>
class HashRouterModule {
 public:
  using T = typename E::Compute;
  using A = Acc<T>;
  using D = typename E::Device;

  struct Saved {};  // nothing is needed in backward

  HashRouterModule(Declarations<E>, index_t /*dim*/, const MoeSizes& sizes) : sizes_(sizes) {}

  RoutedTokens<E> route(Context<E>& c, TensorView<const T, D> x, Saved&) {
    const index_t n = x.rows(), k = sizes_.top_k;
    auto experts = c.template kept<std::int32_t>({n, k});
    auto weights = c.template kept<A>({n, k});
    if constexpr (D::has_storage) {
      static_assert(std::is_same_v<D, Cpu>, "HashRouter writes its tables on the host; on Cuda write an operation.");
      const index_t first_row = n * c.tensor_parallel.rank();  // of this rank's part of the micro-batch
      for (index_t i = 0; i < n; ++i) {
        const std::int32_t token = c.sequences().tokens.data()[first_row + i];
        const auto first = static_cast<index_t>(
            hash_.below(static_cast<std::uint64_t>(token), static_cast<std::uint64_t>(sizes_.num_experts)));
        for (index_t j = 0; j < k; ++j) {
          experts.row(i)[j] = static_cast<std::int32_t>((first + j) % sizes_.num_experts);
          weights.row(i)[j] = static_cast<A>(sizes_.route_scale / static_cast<double>(k));
        }
      }
    }
    return {experts, weights};
  }
  /// The weights are constants: no gradient goes through them.
  void backward(Context<E>&, TensorView<const A, D> /*dweights*/, const Saved&, TensorView<T, D> /*dx*/) {}
  TensorView<std::int32_t, D> take_counts(typename D::Queue&) { return {}; }  // it counts nothing
  void finish_step(typename D::Queue&) {}

 private:
  MoeSizes sizes_;
  RandomStream hash_{1, hash_name("hash_router")};
};
// [/module]

// [policy]
struct HashRouter {
  template <class E>
  using Module = HashRouterModule<E>;
};

struct HashMoe : Recipe<Family<Tiny>, Ffn<MoE<HashRouter>>, Parallel<fsdp * tp * ep>,
                        ActivationCheckpoint<None, Selective, Full>, Precision<F64>> {};
// [/policy]

namespace {

// [train]
Config small_config() {
  Config config;
  config.model.flavor = "moe";
  config.training.seq_len = 16;
  config.training.local_batch_size = 4;
  config.lr_scheduler.warmup_steps = 0;
  config.optimizer.lr = 1e-2;
  return config;
}

/// The losses of two steps on one batch, on so many ranks as threads.
std::vector<double> two_steps(const Config& config, int ranks) {
  std::vector<double> losses;
  LocalWorld::run(ranks, [&](Communicator world) {
    Trainer<ModelOf<HashMoe, Cpu, double>> trainer(config, world);
    const HostBatch batch = trainer.loader(std::make_shared<RandomTokens>(1, 64)).next();
    for (int i = 0; i < 2; ++i) {
      trainer.step(batch);
      const StepResult result = trainer.result();
      if (world.rank() == 0) losses.push_back(result.loss);
    }
  });
  return losses;
}
// [/train]

void check_same(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(std::abs(a[i] - b[i]) < 1e-10 * std::abs(a[i]));
}

}  // namespace

TEST_CASE("a router of one's own trains, the same on every layout", "[docs]") {
  const std::vector<double> alone = two_steps(small_config(), 1);
  REQUIRE(alone.size() == 2);
  CHECK(alone[0] == Approx(std::log(64)).epsilon(0.3));
  CHECK(alone[1] < alone[0]);

  for (const char* mode : {"selective", "full"}) {
    Config config = small_config();
    config.activation_checkpoint.mode = mode;
    CAPTURE(mode);
    check_same(two_steps(config, 1), alone);
  }
  {
    Config config = small_config();
    config.training.local_batch_size = 2;
    config.parallelism.expert_parallel_degree = 2;
    check_same(two_steps(config, 2), alone);
    config.activation_checkpoint.mode = "selective";
    check_same(two_steps(config, 2), alone);
  }
  Config config = small_config();
  config.parallelism.tensor_parallel_degree = 2;
  config.parallelism.expert_parallel_degree = 2;
  check_same(two_steps(config, 2), alone);
}

TEST_CASE("a router of one's own can be planned with", "[docs]") {
  static_assert(
      RouterModule<HashRouterModule<ModelOf<HashMoe, Meta>::Environment>, ModelOf<HashMoe, Meta>::Environment>);
  const Plan plan = make_plan<ModelOf<HashMoe, Meta>>(small_config());
  CHECK(plan.parameters > 0);
  CHECK(plan.ranks.size() == 1);
}
