// The example of docs/adding/a_model_family.md and docs/adding/an_attention.md, which quote the parts between the
// markers.
#include <cmath>
#include <vector>

#include "ashlar/comm/local.hpp"
#include "ashlar/data/random_tokens.hpp"
#include "ashlar/models/transformer.hpp"
#include "ashlar/program/plan.hpp"
#include "ashlar/train/trainer.hpp"
#include "catch.hpp"

using namespace ashlar;

// [attention]
/// Another attention times a factor that is learned and begins at zero, so that a new layer changes nothing at first
/// (ReZero, Bachlechner et al. 2020, arXiv:2003.04887).
template <class E, class Inner>
class GatedAttention {
 public:
  using View = typename E::View;
  using ConstView = typename E::ConstView;
  using Sizes = typename Inner::Sizes;  // what a family's Sizes must convert to

  struct Saved {
    ConstView x;  // the block's; set again where it is recomputed
    typename Inner::Saved inner;
    View y;  // [N / tp, dim], kept: what the gate multiplies
  };

  GatedAttention(Declarations<E> d, const Sizes& s, int layer, const RopeTable<E>& rope, double depth_std)
      : inner_(d.in("inner"), s, layer, rope, depth_std) {
    d.add(gate_, {"gate", {1}, Initializer::constant(0), {}, false});
  }
  const auto& core() const { return inner_.core(); }  // the key-value cache asks for its widths

  View forward(Context<E>& c, ConstView x, Saved& saved) {
    saved.x = x;
    saved.y = c.kept({x.rows(), x.cols()});
    View out = c.scratch({x.rows(), x.cols()});
    ArenaScope scope(c.scratch_arena());
    View y = inner_.forward(c, x, saved.inner);
    for (index_t i = 0; i < y.count() && E::Device::has_storage; ++i) {
      saved.y.data()[i] = y.data()[i];
      out.data()[i] = gate_.value.data()[0] * y.data()[i];
    }
    return out;
  }
  void recompute(Context<E>& c, Saved& saved) {
    saved.inner.x = saved.x;
    inner_.recompute(c, saved.inner);
  }
  View backward(Context<E>& c, ConstView dy, const Saved& saved) {
    View scaled = c.scratch({dy.rows(), dy.cols()});
    for (index_t i = 0; i < dy.count() && E::Device::has_storage; ++i) {
      gate_.gradient.data()[0] += static_cast<double>(dy.data()[i]) * static_cast<double>(saved.y.data()[i]);
      scaled.data()[i] = gate_.value.data()[0] * dy.data()[i];
    }
    return inner_.backward(c, scaled, saved.inner);
  }

 private:
  Inner inner_;
  Parameter<E> gate_;
};
// [/attention]

// [kind]
template <class Kind>
struct Gated {
  template <class E>
  using Module = GatedAttention<E, typename Kind::template Module<E>>;
};
// [/kind]

// [family]
/// Every other layer looks at a window, the others at everything; the first layer's attention is gated.
struct Mixed : DecoderFamily<> {
  struct Sizes : DecoderSizes {
    index_t window = 0;
    operator GroupedQuerySizes() const {  // NOLINT: implicit, it is how an attention module asks for its numbers
      GroupedQuerySizes s = DecoderSizes::operator GroupedQuerySizes();
      s.local = window;
      return s;
    }
  };
  static constexpr std::string_view name = "mixed";
  using Attention = Attn<Grouped<SlidingWindow<Causal>>, Grouped<Causal>, Gated<Sdpa>>;
  using FeedForward = Ffn<SwiGlu, MoE<TopK<Softmax>>>;

  /// Which of the kinds of Attention and of FeedForward layer l has.
  static LayerKind layer(const Sizes&, int l) { return {l == 0 ? 2 : l % 2, l % 3 == 2 ? 1 : 0}; }

  static std::span<const Flavor<Sizes>> flavors() {
    static constexpr Flavor<Sizes> all[] = {{"debugmodel",
                                             {{.dim = 32,
                                               .num_layers = 4,
                                               .num_heads = 4,
                                               .num_kv_heads = 2,
                                               .vocab_size = 64,
                                               .hidden_dim = 48,
                                               .moe = {.num_experts = 4, .top_k = 2, .hidden_dim = 16}},
                                              3}}};
    return all;
  }
};
struct MyRecipe
    : Recipe<Family<Mixed>, Parallel<fsdp * tp>, ActivationCheckpoint<None, Selective, Full>, Precision<F64>> {};
// [/family]

namespace {

// [train]
std::vector<double> losses(const Config& config, int ranks) {
  std::vector<double> out;
  LocalWorld::run(ranks, [&](Communicator world) {
    Trainer<ModelOf<MyRecipe, Cpu, double>> trainer(config, world);
    const HostBatch batch = trainer.loader(std::make_shared<RandomTokens>(1, 64)).next();
    for (int i = 0; i < 4; ++i) {
      trainer.step(batch);
      if (const StepResult result = trainer.result(); world.rank() == 0) out.push_back(result.loss);
    }
  });
  return out;
}
// [/train]

Config small_config() {
  Config config;
  config.training.seq_len = 16;
  config.training.local_batch_size = 4;
  config.lr_scheduler.warmup_steps = 0;
  config.optimizer.lr = 1e-2;
  return config;
}

}  // namespace

TEST_CASE("a family of one's own, with an attention of one's own, trains the same on every layout", "[docs]") {
  const auto alone = losses(small_config(), 1);
  CHECK(alone[0] == Approx(std::log(64)).epsilon(0.3));
  CHECK(alone[3] < alone[0]);
  const auto check_same = [&](const Config& config, int ranks) {
    const auto other = losses(config, ranks);
    for (std::size_t i = 0; i < alone.size(); ++i) CHECK(other[i] == Approx(alone[i]).epsilon(1e-10));
  };
  for (const char* mode : {"selective", "full"}) {
    Config config = small_config();
    config.activation_checkpoint.mode = mode;
    check_same(config, 1);
  }
  Config sharded = small_config();
  sharded.training.local_batch_size = 2;
  check_same(sharded, 2);
  Config tensor = small_config();
  tensor.parallelism.tensor_parallel_degree = 2;
  check_same(tensor, 2);
}

TEST_CASE("such a family can be planned with", "[docs]") {
  const Plan plan = make_plan<ModelOf<MyRecipe, Meta>>(small_config());
  CHECK(plan.parameters > 0);
}
