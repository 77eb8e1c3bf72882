// Targets with weights, as in supervised fine-tuning: a trainer's step against the losses of its tokens added by hand,
// and on layouts against one rank.
#include "train/equivalence.hpp"

using namespace ashlar;
using namespace equivalence;

namespace {

using M = ModelOf<Dense<Cpu>, Cpu, double>;

/// Rows of Documents in which the first half of each are a prompt, which counts nothing, and answers count by row.
class Answers final : public Source<HostBatch> {
 public:
  HostBatch read(std::int64_t first, index_t rows) const override {
    HostBatch batch = tokens_.read(first, rows);
    for (index_t r = 0; r < rows; ++r)
      for (index_t i = 0; i < 8; ++i)
        batch.weights.push_back(i < 4 ? 0 : static_cast<float>(1 + (first + r + i) % 3) / 2);
    return batch;
  }

 private:
  TokenRows tokens_{std::make_shared<Documents>(), 8};
};

Run run_weighted(const Config& config, int ranks) {
  Run result;
  std::mutex mutex;
  LocalWorld::run(ranks, [&](Communicator world) {
    Trainer<M> trainer(config, world);
    auto loader = trainer.loader(std::make_shared<Answers>());
    for (int i = 0; i < 3; ++i) {
      trainer.step(loader.next());
      const StepResult r = trainer.result();
      if (world.rank() == 0) {
        result.losses.push_back(r.loss);
        result.norms.push_back(r.grad_norm);
      }
    }
    const std::scoped_lock lock(mutex);
    collect(trainer, result.tensors);
  });
  return result;
}

}  // namespace

TEST_CASE("a step's loss is the weighted mean of its tokens' losses") {
  Trainer<M> trainer(base_config());
  const HostBatch batch = Answers().read(0, 8);
  double sum = 0, weights = 0;
  for (std::size_t i = 0; i < batch.targets.size(); ++i) {
    if (batch.targets[i] < 0) continue;
    HostBatch one = batch;  // this token alone
    one.weights.clear();
    for (std::size_t j = 0; j < one.targets.size(); ++j)
      if (j != i) one.targets[j] = ops::ignore_index;
    sum += static_cast<double>(batch.weights[i]) * trainer.evaluate(one);
    weights += static_cast<double>(batch.weights[i]);
  }
  REQUIRE(weights > 0);
  CHECK(trainer.evaluate(batch) == Approx(sum / weights).epsilon(1e-12));
  trainer.step(batch);
  CHECK(trainer.result().loss == Approx(sum / weights).epsilon(1e-12));
}

TEST_CASE("weights of 1 change nothing, and of 0 what ignored targets do") {
  HostBatch plain = Answers().read(0, 8), ones = plain, zeros = plain, ignored = plain;
  plain.weights.clear();
  ignored.weights.clear();
  for (std::size_t i = 0; i < plain.targets.size(); ++i) {
    ones.weights[i] = 1;
    zeros.weights[i] = i % 3 == 0 ? 0 : 1;
    if (i % 3 == 0) ignored.targets[i] = ops::ignore_index;
  }
  for (const auto& [a, b] : {std::pair(plain, ones), {ignored, zeros}}) {
    Trainer<M> one(base_config()), other(base_config());
    one.step(a);
    other.step(b);
    const auto x = one.result(), y = other.result();
    CHECK(x.loss == y.loss);
    CHECK(x.grad_norm == y.grad_norm);
  }
}

TEST_CASE("layouts train on weighted targets as one rank does") {
  const Run alone = run_weighted(base_config(), 1);
  int compared = 0, four = 0;
  for (const auto& [ranks, config] : dense_layouts()) {
    if (ranks > 4 || (ranks == 4 && ++four % 4 != 0)) continue;  // of the many on 4 ranks, every fourth
    CAPTURE(describe(config, ranks));
    const Difference d = compare(alone, run_weighted(config, ranks));
    CAPTURE(d.worst);
    CHECK(d.loss < 1e-10);
    CHECK(d.grad_norm < 1e-10);
    CHECK(d.parameter < 1e-10);
    ++compared;
  }
  CHECK(compared > 10);
}
