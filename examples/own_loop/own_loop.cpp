// A loop and a loss of your own: Trainer is a value, and nothing else of the library is needed around it.
#include <algorithm>
#include <ashlar/ashlar.hpp>
#include <cmath>
#include <cstdio>
#include <vector>
using namespace ashlar;

struct Small : Recipe<Attn<Flash<Causal>>, Ffn<SwiGlu>> {};
using MyModel = Transformer<Small>;
using Env = MyModel::In<F32>::Environment;

// Cross-entropy with label smoothing: a part of the target's probability goes to all tokens alike.
struct SmoothedCrossEntropy {
  float smoothing = 0.05f;
  void operator()(Context<Env>&, const LogitsChunk<Env>& chunk) const {
    const index_t v = chunk.logits.cols();
    for (index_t i = 0; i < chunk.logits.rows(); ++i) {
      const float* z = chunk.logits.row(i);
      const index_t target = chunk.targets.data()[i];
      if (target < 0) {  // ops::ignore_index: counts for nothing
        chunk.loss.data()[i] = 0;
        if (chunk.dlogits) std::fill_n(chunk.dlogits.row(i), v, 0.0f);
        continue;
      }
      float top = z[0], sum = 0, mean = 0;
      for (index_t j = 0; j < v; ++j) top = std::max(top, z[j]);
      for (index_t j = 0; j < v; ++j) sum += std::exp(z[j] - top), mean += z[j] / static_cast<float>(v);
      const float lse = top + std::log(sum);
      chunk.loss.data()[i] = lse - (1 - smoothing) * z[target] - smoothing * mean;
      if (!chunk.dlogits) continue;
      for (index_t j = 0; j < v; ++j) {  // dlogits may be the logits' memory: read before writing
        const float hit = j == target ? 1 - smoothing : 0;
        chunk.dlogits.row(i)[j] =
            static_cast<float>(chunk.scale) * (std::exp(z[j] - lse) - hit - smoothing / static_cast<float>(v));
      }
    }
  }
};

int main() {
  Config config;
  config.training.seq_len = 64;
  config.training.local_batch_size = 4;
  config.training.steps = 20;
  config.lr_scheduler.warmup_steps = 2;
  TrainerOf<MyModel> trainer(config);
  auto loader = trainer.loader(std::make_shared<RandomTokens>(1, 16));
  while (trainer.step_count() < config.training.steps) {
    HostBatch batch = loader.next();
    for (index_t row = 0; row < batch.rows; ++row)  // the first half of a row is a prompt: read, not learned
      std::fill_n(batch.targets.begin() + row * batch.seq_len, batch.seq_len / 2, ops::ignore_index);
    trainer.step(batch, SmoothedCrossEntropy{});
    const StepResult r = trainer.result();
    std::printf("step %2lld  loss %.4f  gradient norm %.4f\n", static_cast<long long>(r.step), r.loss, r.grad_norm);
  }
}
