// Training steps of the joint model On<Cuda> equal training steps On<Cpu>, on one rank and on two of tp.
#include "ashlar/comm/local.hpp"
#include "ashlar/device/cuda/runtime.hpp"
#include "catch.hpp"
#include "models/joint_recipe.hpp"

#if ASHLAR_CUDA_EMULATED
#include "ashlar/ops/all_cuda.cuh"
#endif

using namespace ashlar;

namespace {

struct Result {
  std::vector<double> losses, norms;
};

template <class D>
Result train(const Config& config, int ranks) {
  Result result;
  LocalWorld::run(ranks, [&](Communicator world) {
    Trainer<ModelOf<test::Images<D>, D, float>> trainer(config, world);
    auto loader = trainer.loader(test::latents(config));
    for (int i = 0; i < 2; ++i) {
      trainer.step(loader.next());
      const StepResult r = trainer.result();
      if (world.rank() != 0) continue;
      result.losses.push_back(r.loss);
      result.norms.push_back(r.grad_norm);
    }
  });
  return result;
}

}  // namespace

TEST_CASE("the joint model on Cuda equals Cpu") {
  Config c = test::joint_config();
  c.training.global_batch_size = c.training.local_batch_size = 2;
  for (const int ranks : {1, 2}) {
    c.parallelism.tensor_parallel_degree = ranks;
    const Result cpu = train<Cpu>(c, ranks), cuda = train<Cuda>(c, ranks);
    for (std::size_t i = 0; i < cpu.losses.size(); ++i) {
      CAPTURE(ranks, i);
      CHECK(cuda.losses[i] == Approx(cpu.losses[i]).epsilon(1e-5));
      CHECK(cuda.norms[i] == Approx(cpu.norms[i]).epsilon(1e-5));
    }
  }
}
