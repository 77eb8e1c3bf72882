// What the tensors in a checkpoint's files are: after one step from zero moments, exp_avg is (1 - beta1) g and
// exp_avg_sq is (1 - beta2) g^2 of the clipped gradients g, and the others are the weights.
#include "ashlar/train/checkpointer.hpp"

#include "absolute/trained.hpp"
#include "catch.hpp"
#include "checkpoint/temporary_folder.hpp"
#include "tiny_family.hpp"

using namespace ashlar;

namespace {
struct Dense : Recipe<Family<Tiny>, Precision<F64, F32>> {};
}  // namespace

TEST_CASE("a checkpoint's tensors are the weights and the moments that they are called") {
  const TemporaryFolder folder;
  Config c;
  c.training.seq_len = 8;
  c.training.local_batch_size = 2;
  c.training.steps = 1;
  c.training.max_norm = 0.25;
  c.optimizer.beta1 = 0.8;
  c.optimizer.beta2 = 0.97;
  c.lr_scheduler.warmup_steps = 0;
  c.job.dump_folder = folder.path();
  c.checkpoint.enable = true;
  Trainer<ModelOf<Dense, Cpu, double>> trainer(c);
  auto loader = trainer.loader(std::make_shared<RandomTokens>(1, 64));
  Checkpointer checkpointer(trainer, loader);
  trainer.step(loader.next());
  const double clip = 0.25 / (trainer.result().grad_norm + 1e-6);
  REQUIRE(clip < 1);
  REQUIRE(checkpointer.save(1, true));
  OpenCheckpoint saved = open_checkpoint(folder.path() / "checkpoint");
  const auto read = [&](const std::string& name, std::size_t n) {
    std::vector<double> values(n);
    const TensorBox whole = TensorBox::whole(saved.index.find(name).shape);
    REQUIRE(whole.count() == static_cast<index_t>(n));
    saved.index.read(name, whole, DType::f64, reinterpret_cast<std::byte*>(values.data()));
    return values;
  };
  const test::ByName weights = test::weights_of(trainer);
  double worst = 0;
  for (const auto& [name, gradient] : test::gradients_of(trainer)) {
    const auto weight = read(name, gradient.size()), mean = read("optimizer.exp_avg." + name, gradient.size()),
               square = read("optimizer.exp_avg_sq." + name, gradient.size());
    CHECK(weight == weights.at(name));
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      const double g = gradient[i] * clip;
      worst = std::max({worst, std::abs(mean[i] - 0.2 * g), std::abs(square[i] - 0.03 * g * g)});
    }
  }
  CHECK(worst < 1e-15);
}
