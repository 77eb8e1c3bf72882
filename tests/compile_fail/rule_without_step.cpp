// A rule of the user's own that never steps.
// expect: a rule's Module<E> lacks part of the interface
#include <array>

#include "ashlar/models/transformer.hpp"
#include "ashlar/train/trainer.hpp"
using namespace ashlar;

template <class E>
struct Idle {
  Idle(Memory<Cpu>&, Cpu::Queue&, const OptimizerConfig&, const std::vector<RuleUnit<E>*>&) {}
};
template <class E>
struct Moving : Idle<E> {
  using Idle<E>::Idle;
  void step(Cpu::Queue&, RuleUnit<E>&, const UpdateStep<E>&) {}
};
template <template <class> class M>
struct Mine {
  static constexpr std::string_view name = "Mine";
  static constexpr std::array<std::string_view, 0> states{};
  static bool takes(const ParameterInfo&) { return true; }
  template <class E>
  using Module = M<E>;
};

#ifdef GOOD
using Choice = Recipe<Optimize<Mine<Moving>>>;
#else
using Choice = Recipe<Optimize<Mine<Idle>>>;
#endif
constexpr auto size = sizeof(Trainer<ModelOf<Choice>>);
