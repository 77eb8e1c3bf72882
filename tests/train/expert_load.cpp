// What trainers on any layout say of the load of their experts is what one rank says.
#include <mutex>

#include "ashlar/comm/local.hpp"
#include "ashlar/train/trainer.hpp"
#include "catch.hpp"
#include "train/layouts.hpp"

using namespace equivalence;

namespace {

std::vector<ExpertLoad> loads(const Config& config, int ranks) {
  std::vector<ExpertLoad> all;
  std::mutex mutex;
  LocalWorld::run(ranks, [&](Communicator world) {
    Trainer<ModelOf<OfFamily<TinyNormed, ddp * fsdp * tp * pp * ep>, Cpu, double>> trainer(config, world);
    auto loader = trainer.loader(std::make_shared<Documents>());
    trainer.step(loader.next());
    const auto load = trainer.expert_load();
    const std::scoped_lock lock(mutex);
    all.push_back(load.value());
  });
  return all;
}

}  // namespace

TEST_CASE("the load of experts is the same on every rank of every layout, and nothing is dropped") {
  const ExpertLoad alone = loads(base_config(), 1).front();
  CHECK((alone.least < 1 && alone.most > 1 && alone.entropy < 1 && alone.entropy > 0.5));
  CHECK(alone.dropped == 0);
  for (const auto& [ranks, config] : sampled_layouts(true)) {
    CAPTURE(describe(config, ranks));
    for (const ExpertLoad& load : loads(config, ranks)) {
      CHECK(load.least == Approx(alone.least));
      CHECK(load.most == Approx(alone.most));
      CHECK(load.entropy == Approx(alone.entropy));
      CHECK(load.dropped == 0);
    }
  }
}

TEST_CASE("a dense model has no load of experts") {
  Trainer<ModelOf<OfFamily<TinyDense, single>, Cpu, double>> trainer(base_config());
  CHECK(!trainer.expert_load());
}
