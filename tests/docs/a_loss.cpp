// The example of docs/adding/a_loss.md, which quotes the parts between the markers.
#include <cmath>
#include <numeric>
#include <vector>

#include "ashlar/comm/local.hpp"
#include "ashlar/train/trainer.hpp"
#include "catch.hpp"
#include "tiny_family.hpp"

using namespace ashlar;

// [loss]
/// Cross-entropy of probabilities that are scaled by how sure the model is already: (1 - p)^focus times -log p of the
/// target (Lin et al. 2017, arXiv:1708.02002, equation 4, without its constant).
struct FocalLoss {
  double focus = 2;

  template <class E>
  void operator()(Context<E>& c, const LogitsChunk<E>& chunk) const {
    static_assert(std::is_same_v<typename E::Device, Cpu>, "FocalLoss runs on the host; on Cuda write an operation.");
    using A = typename E::Master;
    const index_t n = chunk.logits.rows(), v = chunk.logits.cols();
    ArenaScope scope(c.scratch_arena());
    auto statistics = c.template scratch<A>({n, 3});  // of each row: maximum m, sum of exp(z - m), the target's z
    ops::cross_entropy_statistics<A>(c.queue, chunk.logits, chunk.targets, chunk.first_id, statistics);
    if (tensor_parallel(c)) {  // each rank has some of the vocabulary: three numbers a row are exchanged
      auto parts = c.template scratch<A>({c.tensor_parallel.size(), n, 3});
      c.tensor_parallel.all_gather(c.queue, statistics, parts).wait(c.queue);
      ops::cross_entropy_merge<A>(c.queue, parts, statistics);
    }
    for (index_t i = 0; i < n; ++i) {
      const A *const z = chunk.logits.row(i), *const s = statistics.row(i);
      const index_t target = chunk.targets.data()[i];
      const bool counts = target != ops::ignore_index;
      const A minus_log = std::log(s[1]) + s[0] - s[2], p = std::exp(-minus_log), rest = -std::expm1(-minus_log);
      const A power = std::pow(rest, static_cast<A>(focus));
      chunk.loss.data()[i] = counts ? power * minus_log : 0;
      if (!chunk.dlogits) continue;  // only the loss is wanted
      // d loss / d(-log p), which times softmax - one-hot is the gradient; 0 where the model is sure.
      const A outer = power + (rest > 0 ? static_cast<A>(focus) * power / rest * p * minus_log : 0);
      const A factor = counts ? static_cast<A>(chunk.scale) * outer : 0;
      for (index_t j = 0; j < v; ++j) {  // dlogits may be the logits' memory: read before writing
        const A hit = chunk.first_id + j == target ? 1 : 0;
        chunk.dlogits.row(i)[j] = static_cast<typename E::Compute>(factor * (std::exp(z[j] - s[0]) / s[1] - hit));
      }
    }
  }
};
// [/loss]

namespace {

// [weights]
/// Questions with answers: the first half of a row is read and not learned, the last token of the answer counts twice.
HostBatch weighed(HostBatch batch) {
  batch.weights.assign(batch.targets.size(), 1.0f);
  for (index_t row = 0; row < batch.rows; ++row) {
    const auto begin = batch.weights.begin() + row * batch.seq_len;
    std::fill_n(begin, batch.seq_len / 2, 0.0f);
    begin[batch.seq_len - 1] = 2;
  }
  return batch;
}
// [/weights]

// [train]
struct Small : Recipe<Family<Tiny>, Parallel<ddp * fsdp * tp * pp>, Precision<F64>> {};
using M = ModelOf<Small, Cpu, double>;

/// The losses of `steps` steps on one batch, on so many ranks as threads.
std::vector<double> train(const Config& config, int ranks, int steps, FocalLoss loss = {}) {
  std::vector<double> losses;
  LocalWorld::run(ranks, [&](Communicator world) {
    Trainer<M> trainer(config, world);
    const HostBatch batch = weighed(trainer.loader(std::make_shared<RandomTokens>(1, 64)).next());
    for (int i = 0; i < steps; ++i) {
      trainer.step(batch, loss);
      const StepResult result = trainer.result();
      if (world.rank() == 0) losses.push_back(result.loss);
    }
  });
  return losses;
}
// [/train]

Config small_config() {
  Config config;
  config.training.seq_len = 8;
  config.training.global_batch_size = 4;
  config.training.local_batch_size = 2;
  config.lr_scheduler.warmup_steps = 0;
  config.optimizer.lr = 1e-2;
  return config;
}

/// The loss of weighed rows by plain loops over the logits that an observer has seen.
class Logits final : public Observer<Cpu> {
 public:
  void see(Cpu::Queue&, const ObservedTensor& t) override {
    if (t.name != "logits") return;
    for (index_t r = 0; r < t.shape[0]; ++r) {
      const double* const row = static_cast<const double*>(t.data) + r * t.row_stride;
      rows.emplace_back(row, row + t.shape[1]);
    }
  }
  double loss(const HostBatch& batch, double focus) const {
    double sum = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      double exponentials = 0;
      for (double z : rows[i]) exponentials += std::exp(z);
      const double p = std::exp(rows[i][static_cast<std::size_t>(batch.targets[i])]) / exponentials;
      sum += static_cast<double>(batch.weights[i]) * std::pow(1 - p, focus) * -std::log(p);
    }
    return sum / std::accumulate(batch.weights.begin(), batch.weights.end(), 0.0);
  }
  std::vector<std::vector<double>> rows;
};

}  // namespace

TEST_CASE("a loss of one's own, of weighed targets, is what its formula says", "[docs]") {
  Trainer<M> trainer(small_config());
  const HostBatch batch = weighed(trainer.loader(std::make_shared<RandomTokens>(1, 64)).next());
  for (const double focus : {2.0, 0.0}) {
    Logits logits;
    trainer.observe(&logits);
    const double loss = trainer.evaluate(batch, FocalLoss{focus});
    CHECK(loss == Approx(logits.loss(batch, focus)).epsilon(1e-12));
  }
  trainer.observe(nullptr);
  CHECK(trainer.evaluate(batch, FocalLoss{0}) == Approx(trainer.evaluate(batch)).epsilon(1e-12));
}

TEST_CASE("its gradient equals central differences", "[docs]") {
  using E = M::Environment;
  Memory<Cpu> memory;
  Cpu::Queue queue;
  Arena<Cpu> arena(memory);
  Context<E> c(queue, arena);
  std::vector<double> z{0.3, -1, 2, 0.5, 0, 4}, dz(6), losses(2);
  const std::vector<std::int32_t> targets{2, 0};
  LogitsChunk<E> chunk;
  chunk.logits = {z.data(), {2, 3}};
  chunk.targets = {targets.data(), {2}};
  chunk.scale = 0.37;
  chunk.loss = {losses.data(), {2}};
  const auto loss = [&] {
    chunk.dlogits = {};
    FocalLoss{}(c, chunk);
    return 0.37 * (losses[0] + losses[1]);
  };
  for (std::size_t i = 0; i < z.size(); ++i) {
    const double at = z[i], h = 1e-5;
    z[i] = at + h;
    const double above = loss();
    z[i] = at - h;
    const double below = loss();
    z[i] = at;
    chunk.dlogits = {dz.data(), {2, 3}};
    FocalLoss{}(c, chunk);
    CHECK(dz[i] == Approx((above - below) / (2 * h)).epsilon(1e-7).margin(1e-9));
  }
}

TEST_CASE("a loss of one's own trains, the same on every layout", "[docs]") {
  const std::vector<double> alone = train(small_config(), 1, 3);
  CHECK(alone[2] < alone[0]);
  const auto same = [&](const Config& config, int ranks) {
    const std::vector<double> other = train(config, ranks, 3);
    for (std::size_t i = 0; i < alone.size(); ++i) CHECK(other[i] == Approx(alone[i]).epsilon(1e-10));
  };
  Config tensor = small_config(), sharded = small_config(), stages = small_config();
  tensor.parallelism.tensor_parallel_degree = 2;
  same(tensor, 2);
  sharded.parallelism.data_parallel_shard_degree = 2;
  same(sharded, 2);
  stages.parallelism.pipeline_parallel_degree = 2;
  same(stages, 2);
}
