// A router of the user'\''s own that forgets its gradient.
// expect: the router's Module<E> lacks part of the interface
#include "ashlar/models/stage.hpp"
#include "ashlar/models/transformer.hpp"
using namespace ashlar;

/// Sends every token to the first experts.
template <class E>
struct Forgetful {
  struct Saved {};
  Forgetful(Declarations<E>, index_t, const MoeSizes&) {}
  RoutedTokens<E> route(Context<E>&, TensorView<const F32, Cpu>, Saved&) { return {}; }
  TensorView<std::int32_t, Cpu> take_counts(Cpu::Queue&) { return {}; }
  void finish_step(Cpu::Queue&) {}
};
template <class E>
struct Complete : Forgetful<E> {
  using Forgetful<E>::Forgetful;
  using typename Forgetful<E>::Saved;
  void backward(Context<E>&, TensorView<const F32, Cpu>, const Saved&, TensorView<F32, Cpu>) {}
};
template <template <class> class M>
struct Mine {
  template <class E>
  using Module = M<E>;
};

#ifdef GOOD
using Choice = Recipe<Ffn<MoE<Mine<Complete>>>>;
#else
using Choice = Recipe<Ffn<MoE<Mine<Forgetful>>>>;
#endif
constexpr auto size = sizeof(Stage<ModelOf<Choice>>);
