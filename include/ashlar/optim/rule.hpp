// OptimizerRule: how gradients change weights, and what a rule remembers. optim/rules/adamw.hpp is one that takes each
// element by itself, optim/rules/muon.hpp one that needs whole matrices. Read next: optim/optimizer.hpp.
#pragma once

#include <concepts>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "ashlar/config/config.hpp"
#include "ashlar/parallel/unit.hpp"

namespace ashlar::inline v0 {

/// Parameters of one group that lie one after another in this rank's shard of a unit, padding between them included.
template <class E>
struct UpdateSpan {
  using A = typename E::Master;

  index_t begin = 0, count = 0;                        // in the unit's flat range
  double lr_factor = 1, weight_decay = 0;              // of the group
  typename E::template ViewOf<const A> gradient;       // [count], not clipped; a rule leaves it as it is
  typename E::template ViewOf<A> master;               // [count]
  typename E::View copy;                               // [count], or empty: the new weights rounded go there too
  std::vector<typename E::template ViewOf<A>> states;  // [count] each, in the order of their names; zero at first
};

/// What a rule updates of one unit.
template <class E>
struct RuleUnit {
  Unit<E>* unit;
  std::size_t rule;                                       // its number in Optimize<...>
  std::vector<std::size_t> parameters;                    // entries of the unit's layout, on whichever rank they are
  std::vector<UpdateSpan<E>> spans;                       // those on this rank
  Tensor<typename E::Master, typename E::Device> states;  // owns what the spans see
};

/// The numbers of a step.
template <class E>
struct UpdateStep {
  std::int64_t step;  // 1-based: the states have seen step - 1
  double lr;          // of the schedule; times a span's lr_factor
  /// [1]: what gradients are multiplied by. Where it is not finite, a rule leaves weights, copies and states alone; the
  /// host does not know.
  typename E::template ViewOf<const typename E::Master> gradient_scale;
};

namespace detail {
template <class Module, class E, class D = typename E::Device>
inline constexpr bool is_made_as_a_rule =
    std::is_constructible_v<Module, Memory<D>&, typename D::Queue&, const OptimizerConfig&,
                            const std::vector<RuleUnit<E>*>&>;
}  // namespace detail

/// A rule R is a name, the names of its states as checkpoints call them, which parameters it takes, and a module: made
/// of (memory, queue, options, the units that it will be given), it changes masters and copies in `step`, which is
/// called for every unit of that list in one order on all ranks, so that it may exchange.
template <class R, class E>
concept OptimizerRule = requires(typename R::template Module<E>& module, typename E::Device::Queue& queue,
                                 RuleUnit<E>& unit, const UpdateStep<E>& step, const ParameterInfo& info) {
  { R::name } -> std::convertible_to<std::string_view>;
  { R::states } -> std::convertible_to<std::span<const std::string_view>>;
  { R::takes(info) } -> std::same_as<bool>;
  module.step(queue, unit, step);
  requires detail::is_made_as_a_rule<typename R::template Module<E>, E>;
};

}  // namespace ashlar::inline v0
