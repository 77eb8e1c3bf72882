// Weights that nothing can be multiplied with.
// expect: Weights<W> takes LowRank, or weights of your own with Input, prepare, Projection, trains and needs_base
#include "ashlar/models/transformer.hpp"
#include "ashlar/nn/low_rank.hpp"
using namespace ashlar;

struct Mine {
  template <class E>
  using Input = typename E::ConstView;
};
#ifdef GOOD
using Choice = LowRank;
#else
using Choice = Mine;
#endif
constexpr auto size = sizeof(Transformer<Weights<Choice>>::In<>::Blocks);
