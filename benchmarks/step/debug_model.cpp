// A training step of the Llama 3 debug model in float, batch 8 x 256, as a share of the machine's matrix product rate.
#include <cmath>
#include <cstdlib>

#include "ashlar/core/random.hpp"
#include "ashlar/data/random_tokens.hpp"
#include "ashlar/models/transformer.hpp"
#include "ashlar/train/trainer.hpp"
#include "harness.hpp"

using namespace ashlar;
using benchmark::Side;

namespace {

struct Debug : Recipe<Attn<Sdpa>, Ffn<SwiGlu>, Precision<F32, F64>> {};

Config config() {
  Config c;
  c.training.seq_len = 256;
  c.training.local_batch_size = 8;
  c.training.steps = 1000;
  return c;
}

template <class T>
StepResult one_step() {
  Trainer<ModelOf<Debug, Cpu, T>> trainer(config());
  auto loader = trainer.loader(std::make_shared<RandomTokens>(1, 2048));
  trainer.step(loader.next());
  return trainer.result();
}

struct Product {
  Tensor<float, Cpu> a, b, c;
  Product(Memory<Cpu>& memory, index_t m, index_t n, index_t k)
      : a(memory, {m, k}), b(memory, {n, k}), c(memory, {m, n}) {
    const RandomStream random(1, 2);
    for (index_t i = 0; i < a.count(); ++i) a.data()[i] = random.normal(static_cast<std::uint64_t>(i));
    for (index_t i = 0; i < b.count(); ++i) b.data()[i] = random.normal(static_cast<std::uint64_t>(i) + (1ull << 40));
  }
  void run() const {
    Cpu::Queue queue;
    ops::matmul<float>(queue, a.view(), ops::Transpose::no, b.view(), ops::Transpose::yes, c.view());
  }
};

}  // namespace

int main() {
  const StepResult f32 = one_step<float>(), f64 = one_step<double>();
  const double error = std::abs(f32.loss - f64.loss) / f64.loss,
               norm_error = std::abs(f32.grad_norm - f64.grad_norm) / f64.grad_norm;
  std::printf("float against double, one step: loss %.1e, gradient norm %.1e relative\n", error, norm_error);
  if (!(error < 1e-5 && norm_error < 1e-4)) return 1;

  Trainer<ModelOf<Debug, Cpu, float>> trainer(config());
  auto loader = trainer.loader(std::make_shared<RandomTokens>(1, 2048));
  Memory<Cpu> memory;
  const Product big(memory, 2048, 2048, 2048), layer(memory, 2048, 768, 256);
  std::vector<Side> sides{
      {"step, 8 x 256 tokens", 8 * 256, [&] { trainer.step(loader.next()); }},
      {"product 2048 x 2048 x 2048", 2.0 * 2048 * 2048 * 2048, [&] { big.run(); }},
      {"product 2048 x 768 x 256, ten times", 10 * 2.0 * 2048 * 768 * 256,
       [&] {
         for (int i = 0; i < 10; ++i) layer.run();
       }},
  };
  benchmark::interleave(sides, 15);
  benchmark::print(sides[0], 1, "tokens/s");
  benchmark::print(sides[1], 1e9, "GFLOP/s");
  benchmark::print(sides[2], 1e9, "GFLOP/s");
  const FlopCount flops = trainer.flops();
  const double ceiling = std::max(sides[1].rate(), sides[2].rate());
  std::printf("share of the product's rate: %.1f%% (causal attention counted half: %.1f%%)\n",
              100 * flops.per_token * sides[0].rate() / ceiling,
              100 * flops.per_token_causal * sides[0].rate() / ceiling);
}
