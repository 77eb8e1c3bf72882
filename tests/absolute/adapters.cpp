// Adapters of low rank: the model is plain loops over W + alpha / rank B A, their gradients are its differences, what
// is frozen stays, and what is merged is what was trained.
#include <filesystem>

#include "absolute/reference_decoder.hpp"
#include "absolute/trained.hpp"
#include "ashlar/comm/local.hpp"
#include "ashlar/nn/low_rank.hpp"
#include "ashlar/program/convert.hpp"
#include "ashlar/train/checkpointer.hpp"
#include "catch.hpp"
#include "checkpoint/temporary_folder.hpp"
#include "tiny_family.hpp"

using namespace ashlar;
namespace fs = std::filesystem;

namespace {

struct Plain : Recipe<Family<Tiny>, Parallel<fsdp * tp>, Precision<F64>> {};
struct Adapted : Recipe<Family<Tiny>, Weights<LowRank>, Parallel<fsdp * tp>, Precision<F64>> {};
using PlainModel = ModelOf<Plain, Cpu, double>;
using AdaptedModel = ModelOf<Adapted, Cpu, double>;

constexpr int rank = 3;
constexpr double alpha = 7;

Config config_of(const fs::path& folder) {
  Config c;
  c.job.dump_folder = folder.string();
  c.training.seq_len = 9;
  c.training.local_batch_size = 2;
  c.training.global_batch_size = 4;
  c.training.steps = 6;
  c.lr_scheduler.warmup_steps = 1;
  c.optimizer.lr = 2e-2;
  c.lora.rank = rank;
  c.lora.alpha = alpha;
  c.checkpoint.enable = true;
  c.checkpoint.interval = 2;
  return c;
}

HostBatch batch_of() {
  HostBatch b{4, 9, {}, {}, {}};
  for (int i = 0; i < 36; ++i) {
    b.tokens.push_back((i * 7 + 3) % 64);
    b.targets.push_back(i % 5 == 4 ? -100 : (i * 11 + 1) % 64);
    b.document_start.push_back(0);
  }
  return b;
}

/// W + alpha / rank B A, in plain loops; without the adapters.
reference::Weights merged(const test::ByName& weights) {
  reference::Weights out;
  for (const auto& [name, w] : weights) {
    if (name.find(".lora_") != std::string::npos) continue;
    out[name] = w;
    const std::string stem = name.substr(0, name.size() - 7);
    if (!weights.contains(stem + ".lora_A.weight")) continue;
    const auto &a = weights.at(stem + ".lora_A.weight"), &b = weights.at(stem + ".lora_B.weight");
    const std::size_t in = a.size() / rank;
    for (std::size_t o = 0; o < b.size() / rank; ++o)
      for (std::size_t i = 0; i < in; ++i)
        for (std::size_t k = 0; k < rank; ++k) out[name][o * in + i] += alpha / rank * b[o * rank + k] * a[k * in + i];
  }
  return out;
}

double mean_loss(const test::ByName& weights, const HostBatch& b) {
  const reference::Decoder model({32, 2, 4, 4, 64, 48}, merged(weights));
  double sum = 0;
  int counted = 0;
  for (index_t r = 0; r < b.rows; ++r) {
    const auto [loss, n] = model.loss(test::row_of(b.tokens, r, b.seq_len), test::row_of(b.targets, r, b.seq_len),
                                      test::row_of(b.document_start, r, b.seq_len));
    sum += loss;
    counted += n;
  }
  return sum / counted;
}

/// Trains to `steps` from where the folder stands. f(trainer) at the end, on each rank.
template <class M, class F>
std::vector<double> train(const Config& config, int steps, F&& f, int ranks = 1) {
  std::vector<double> losses;
  LocalWorld::run(ranks, [&](Communicator world) {
    Trainer<M> trainer(config, world);
    auto loader = trainer.loader(std::make_shared<RandomTokens>(1, 64));
    Checkpointer checkpointer(trainer, loader);
    checkpointer.load();
    while (trainer.step_count() < steps) {
      trainer.step(loader.next());
      const double loss = trainer.result().loss;
      if (world.rank() == 0) losses.push_back(loss);
      checkpointer.save(trainer.step_count(), trainer.step_count() == config.training.steps);
    }
    f(trainer);
  });
  return losses;
}
constexpr auto nothing = [](auto&) {};

}  // namespace

TEST_CASE("a model with adapters is plain loops over W + alpha / rank B A") {
  const TemporaryFolder folder;
  Trainer<AdaptedModel> trainer(config_of(folder.path()));
  test::ByName weights = test::weights_of(trainer);
  for (const auto& [name, values] : weights)
    if (name.ends_with(".lora_B.weight")) CHECK(values == std::vector<double>(values.size()));
  std::uint64_t seed = 1;
  for (auto& [name, values] : weights) {
    const RandomStream stream(17, seed++);
    const bool is_norm = name.find("norm") != std::string::npos;
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = (is_norm ? 1 : 0) + 0.3 * stream.normal(i);
  }
  test::set_weights(trainer, weights);
  const HostBatch batch = batch_of();
  const double want = mean_loss(weights, batch);
  REQUIRE(want > 1);
  CHECK(trainer.evaluate(batch) == Approx(want).epsilon(1e-13));
  trainer.step(batch);
  CHECK(trainer.result().loss == Approx(want).epsilon(1e-13));

  double squares = 0;
  const test::ByName gradients = test::gradients_of(trainer);
  CHECK(gradients.size() == 2 * 7 * 2);  // two adapters for each of seven projections of two layers, and nothing else
  for (const auto& [name, gradient] : gradients) {
    double largest = 0;
    for (double g : gradient) {
      largest = std::max(largest, std::abs(g));
      squares += g * g;
    }
    CHECK(largest > 1e-6);
    for (const std::size_t i : {std::size_t{0}, gradient.size() / 3, gradient.size() - 1}) {
      INFO(name << ", element " << i);
      double& x = weights[name][i];
      const double before = x, h = 1e-4;
      const auto at = [&](double offset) {
        x = before + offset;
        return mean_loss(weights, batch);
      };
      const double difference = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
      x = before;
      CHECK(std::abs(gradient[i] - difference) < 1e-8 * (1 + largest));
    }
  }
  CHECK(trainer.result().grad_norm == Approx(std::sqrt(squares)).epsilon(1e-12));

  for (int i = 0; i < 3; ++i) trainer.step(batch);
  for (const auto& [name, values] : test::weights_of(trainer)) {
    INFO(name);
    CHECK((values == weights.at(name)) == (name.find(".lora_") == std::string::npos));
  }
}

TEST_CASE("adapters are trained on a base, saved alone, taken up again, and merged into weights of a plain model") {
  const TemporaryFolder base, folder, straight, merged_folder;
  train<PlainModel>(config_of(base.path()), 2, nothing);
  Config c = config_of(folder.path());
  c.checkpoint.base_path = (base.path() / "checkpoint").string();
  const HostBatch batch = batch_of();
  double begin = 0, adapted = 0;
  Config plain = config_of(base.path());
  train<PlainModel>(plain, 2, [&](auto& trainer) { begin = trainer.evaluate(batch); });
  train<AdaptedModel>(c, 0, [&](auto& trainer) { CHECK(trainer.evaluate(batch) == begin); });  // B is zero

  // Six steps at once, and with an interruption, on two ranks of tp and on two of fsdp.
  Config through = c;
  through.job.dump_folder = straight.path().string();
  const std::vector<double> losses =
      train<AdaptedModel>(through, 6, [&](auto& trainer) { adapted = trainer.evaluate(batch); });
  train<AdaptedModel>(c, 4, nothing);
  const std::vector<double> rest = train<AdaptedModel>(c, 6, nothing);
  CHECK(rest == std::vector<double>(losses.begin() + 4, losses.end()));
  CHECK(std::abs(adapted - begin) > 1e-3);
  for (const bool tensor : {false, true}) {
    const TemporaryFolder other;
    Config split = c;
    split.job.dump_folder = other.path().string();
    (tensor ? split.parallelism.tensor_parallel_degree : split.parallelism.data_parallel_shard_degree) = 2;
    train<AdaptedModel>(split, 4, nothing, 2);
    const std::vector<double> again = train<AdaptedModel>(split, 6, nothing, 2);
    REQUIRE(again.size() == 2);
    for (std::size_t i = 0; i < 2; ++i) CHECK(again[i] == Approx(losses[4 + i]).epsilon(1e-12));
  }

  OpenCheckpoint saved = open_checkpoint(folder.path() / "checkpoint/step-6");
  CHECK(saved.index.tensors().size() == 3 * 28);  // each with two moments
  for (const auto& [name, tensor] : saved.index.tensors()) {
    INFO(name);
    CHECK(is_adapter(name));
  }

  // In double nothing is lost; convert writes float.
  OpenCheckpoint from = open_checkpoint(c.checkpoint.base_path);
  for (const index_t at_once : {index_t{1}, index_t{100}, index_t{1} << 20}) {
    const fs::path file = merged_folder.path() / "double.safetensors";
    CHECK(consolidate(saved, file, DType::f64, at_once, &from.index, alpha).tensors == 2 * 9 + 3);
    Config use = config_of(merged_folder.path());
    use.checkpoint.enable = false;
    use.checkpoint.initial_load_path = file.string();
    train<PlainModel>(use, 0, [&](auto& trainer) { CHECK(trainer.evaluate(batch) == Approx(adapted).epsilon(1e-12)); });
  }
  Config converting = config_of(merged_folder.path());
  converting.checkpoint.initial_load_path = (folder.path() / "checkpoint").string();
  converting.lora = {};  // the checkpoint knows its own
  Config use = config_of(merged_folder.path());
  use.checkpoint.enable = false;
  use.checkpoint.initial_load_path = convert(converting).path.string();
  train<PlainModel>(use, 0, [&](auto& trainer) { CHECK(trainer.evaluate(batch) == Approx(adapted).epsilon(1e-6)); });
}

TEST_CASE("adapters without a base, or with another one, are errors that say what to give") {
  const TemporaryFolder base, folder;
  train<PlainModel>(config_of(base.path()), 2, nothing);
  Config c = config_of(folder.path());
  CHECK(mentions(error_of([&] { train<AdaptedModel>(c, 1, nothing); }), "--checkpoint.base_path"));
  c.checkpoint.initial_load_path = (base.path() / "checkpoint").string();
  CHECK(mentions(error_of([&] { train<AdaptedModel>(c, 1, nothing); }), "--checkpoint.base_path"));
  c.checkpoint.initial_load_path = "";
  c.checkpoint.base_path = (base.path() / "checkpoint").string();
  train<AdaptedModel>(c, 2, nothing);

  Config other_scale = c;
  other_scale.lora.alpha = 8;
  CHECK(mentions(error_of([&] { train<AdaptedModel>(other_scale, 3, nothing); }), "--lora.rank 3 and --lora.alpha 7"));
  OpenCheckpoint adapters = open_checkpoint(folder.path() / "checkpoint");
  const fs::path file = folder.path() / "model.safetensors";
  CHECK(mentions(error_of([&] { consolidate(adapters, file, DType::f32); }), "has no weight layers.0.attention.w"));
  const TemporaryFolder other;
  Config moe = config_of(other.path());
  moe.model.flavor = "tied";
  train<PlainModel>(moe, 2, nothing);
  OpenCheckpoint wrong = open_checkpoint(other.path() / "checkpoint");
  CHECK(mentions(error_of([&] { consolidate(adapters, file, DType::f32, 1000, &wrong.index, alpha); }),
                 "--checkpoint.base_path"));
  CHECK_FALSE(fs::exists(file));
  moe.model.flavor = "debugmodel";
  moe.job.dump_folder = folder.path().string();
  CHECK(mentions(error_of([&] { train<PlainModel>(moe, 3, nothing); }), "--checkpoint.base_path"));
}
