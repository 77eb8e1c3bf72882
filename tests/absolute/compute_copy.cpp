// What bf16 models multiply with is the rounded master weight: after the start, after each step, after a load.
#include "ashlar/train/checkpointer.hpp"

#include "absolute/trained.hpp"
#include "catch.hpp"
#include "checkpoint/temporary_folder.hpp"
#include "tiny_family.hpp"

using namespace ashlar;

namespace {

struct Rounded : Recipe<Family<Tiny>, Precision<Bf16>> {};
using M = ModelOf<Rounded, Cpu, bf16>;

/// Rounds to nearest, ties to even, by arithmetic on the number: bf16 keeps 8 bits of a float's significand.
float rounded(float x) {
  if (x == 0) return x;
  int exponent = 0;
  std::frexp(x, &exponent);  // x = f 2^exponent, 0.5 <= |f| < 1
  const double unit = std::ldexp(1.0, exponent - 8);
  return static_cast<float>(std::nearbyint(x / unit) * unit);
}

void check_copies(Trainer<M>& trainer, const char* when) {
  INFO(when);
  index_t different = 0, inexact = 0;
  for (auto& stage : trainer.stages())
    for (auto* unit : stage->units()) {
      const auto master = unit->master();
      const auto copy = unit->compute_copy();
      REQUIRE(copy.count() == master.count());
      for (index_t i = 0; i < master.count(); ++i) {
        different += float(copy.data()[i]) != rounded(master.data()[i]);
        inexact += float(copy.data()[i]) != master.data()[i];
      }
    }
  CHECK(different == 0);
  CHECK(inexact > 100);  // master weights have more digits
}

}  // namespace

TEST_CASE("the copy in bf16 is the rounded master weight, after start, step and load") {
  TemporaryFolder folder;
  Config c;
  c.training.seq_len = 8;
  c.training.local_batch_size = 2;
  c.training.steps = 3;
  c.lr_scheduler.warmup_steps = 0;
  c.optimizer.lr = 1e-2;
  c.job.dump_folder = folder.path();
  c.checkpoint.enable = true;
  test::ByName trained;
  {
    Trainer<M> trainer(c);
    check_copies(trainer, "after the start");
    auto loader = trainer.loader(std::make_shared<RandomTokens>(1, 64));
    Checkpointer checkpointer(trainer, loader);
    const HostBatch batch = loader.next();
    std::vector<double> losses;
    for (int i = 0; i < 3; ++i) {
      const test::ByName before = test::weights_of(trainer);
      trainer.step(batch);
      losses.push_back(trainer.result().loss);
      check_copies(trainer, "after a step");
      CHECK(test::weights_of(trainer) != before);
    }
    CHECK(losses[2] < losses[1]);  // what is computed with moves, too
    CHECK(losses[1] < losses[0]);
    REQUIRE(checkpointer.save(3, true));
    trained = test::weights_of(trainer);
  }
  Trainer<M> trainer(c);
  auto loader = trainer.loader(std::make_shared<RandomTokens>(1, 64));
  REQUIRE(Checkpointer(trainer, loader).load());
  CHECK(test::weights_of(trainer) == trained);
  check_copies(trainer, "after a load");
}
