// A loss that takes what it can't be given.
// expect: Trainer::step takes a loss that can be called as loss(Context<E>&, const LogitsChunk<E>&)
#include "ashlar/train/trainer.hpp"
using namespace ashlar;

struct Mine : Recipe<> {};
using E = Environment<Mine, Cpu, F32>;

#ifdef GOOD
using Argument = const LogitsChunk<E>&;
#else
using Argument = float;
#endif
struct Loss {
  void operator()(Context<E>&, Argument) const {}
};
void train(Trainer<E>& trainer, const HostBatch& batch) {
  trainer.step(batch, Loss{});
}
