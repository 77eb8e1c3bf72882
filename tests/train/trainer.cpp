#include "ashlar/train/trainer.hpp"

#include <limits>
#include <thread>

#include "ashlar/comm/local.hpp"
#include "catch.hpp"
#include "tiny_family.hpp"

using namespace ashlar;

namespace {

struct Sharded : Recipe<Family<Tiny>, Parallel<ddp * fsdp>> {};
using M = ModelOf<Sharded, Cpu, double>;
using E = M::Environment;

Config config_of(int shard = 1) {
  Config c;
  c.training.seq_len = 8;
  c.training.local_batch_size = 2;
  c.training.global_batch_size = 4 * shard;
  c.training.steps = 10;
  c.parallelism.data_parallel_shard_degree = shard;
  return c;
}

/// Throws at the given tensor of a step.
class Interrupter final : public Observer<Cpu> {
 public:
  explicit Interrupter(int at) : left_(at) {}
  void see(Cpu::Queue&, const ObservedTensor& tensor) override {
    ++seen_;
    if (left_-- == 0) fail(concat("interrupted at ", tensor.name));
  }
  int seen() const { return seen_; }

 private:
  int left_, seen_ = 0;
};

std::vector<double> losses_of(Trainer<M>& trainer, int steps) {
  auto loader = trainer.loader(std::make_shared<RandomTokens>(1, 64));
  std::vector<double> losses;
  for (int i = 0; i < steps; ++i) {
    trainer.step(loader.next());
    losses.push_back(trainer.result().loss);
    losses.push_back(trainer.result().grad_norm);
  }
  return losses;
}

}  // namespace

TEST_CASE("a trainer refuses what the field list's checks refuse") {
  const auto refuses = [](auto&& change) {
    Config c = config_of();
    change(c);
    CHECK_THROWS_AS(Trainer<M>(c), ConfigError);
  };
  refuses([](Config& c) { c.training.local_batch_size = 0; });
  refuses([](Config& c) { c.training.seq_len = 0; });
  refuses([](Config& c) { c.training.max_norm = -1; });
  refuses([](Config& c) { c.optimizer.name = "Lion"; });
  refuses([](Config& c) { c.optimizer.lr = std::numeric_limits<double>::quiet_NaN(); });
}

TEST_CASE("a step that an exception ended leaves nothing behind") {
  for (const int ranks : {1, 2})
    for (const char* reshard : {"always", "never"}) {
      CAPTURE(ranks, reshard);
      CHECK_NOTHROW(LocalWorld::run(ranks, [&](Communicator world) {
        Config c = config_of(ranks);
        c.parallelism.fsdp_reshard_after_forward = reshard;
        Trainer<M> whole(c, world);
        const std::vector<double> expected = losses_of(whole, 2);
        Interrupter counter(1 << 30);
        whole.observe(&counter);
        losses_of(whole, 1);
        check(counter.seen() > 20, "a step shows its tensors");

        Trainer<M> trainer(c, world);
        auto loader = trainer.loader(std::make_shared<RandomTokens>(1, 64));
        const HostBatch batch = loader.next();
        for (int at = 0; at < counter.seen(); at += 3) {  // in forward and in backward, of each micro-batch
          Interrupter observer(at);
          trainer.observe(&observer);
          bool thrown = false;
          try {
            trainer.step(batch);
          } catch (const Error&) {
            thrown = true;
          }
          check(thrown, "the observer has ended the step");
        }
        trainer.observe(nullptr);
        check(losses_of(trainer, 2) == expected, "the steps are as if nothing had been");
      }));
    }
}

TEST_CASE("a trainer may end while the next block is gathered") {
  // The other rank comes late: what is under way writes into memory that must still be there.
  CHECK_NOTHROW(LocalWorld::run(2, [&](Communicator world) {
    Trainer<M> trainer(config_of(2), world);
    auto loader = trainer.loader(std::make_shared<RandomTokens>(1, 64));
    const HostBatch batch = loader.next();
    Interrupter observer(3);
    trainer.observe(&observer);
    try {
      trainer.step(batch);
    } catch (const Error&) {
      if (world.rank() == 1) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    check(observer.seen() == 4, "the observer has ended the step");
  }));
}

TEST_CASE("a step whose gradient is not finite is reported, however late the result is asked for") {
  Trainer<M> trainer(config_of());
  auto loader = trainer.loader(std::make_shared<RandomTokens>(1, 64));
  const auto infinite = [](Context<E>& c, const LogitsChunk<E>& k) {
    CrossEntropy{}(c, k);
    if (k.dlogits.count() > 0) k.dlogits.data()[0] = std::numeric_limits<double>::infinity();
  };
  trainer.step(loader.next());
  CHECK_NOTHROW(trainer.result());
  trainer.step(loader.next(), LossFunction<E>(infinite));
  trainer.step(loader.next());
  std::string error;
  try {
    trainer.result();
  } catch (const Error& e) {
    error = e.what();
  }
  CHECK(error.find("of the steps since the last result 1 had a gradient norm that is not finite") != error.npos);
  trainer.step(loader.next());
  CHECK_NOTHROW(trainer.result());
}
