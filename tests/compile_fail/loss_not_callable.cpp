// A loss that takes what it can't be given.
// expect: of a language model a loss that can be called as loss(Context<E>&, const LogitsChunk<E>&)
#include "ashlar/models/transformer.hpp"
#include "ashlar/train/trainer.hpp"
using namespace ashlar;

struct Mine : Recipe<> {};
using MyModel = ModelOf<Mine>;
using E = MyModel::Environment;

#ifdef GOOD
using Argument = const LogitsChunk<E>&;
#else
using Argument = float;
#endif
struct Loss {
  void operator()(Context<E>&, Argument) const {}
};
void train(Trainer<MyModel>& trainer, const HostBatch& batch) {
  trainer.step(batch, Loss{});
}
