// Optimize<...>: the policy of a recipe that says by which rules its parameters are updated. Read next: optim/rule.hpp,
// optim/groups.hpp.
#pragma once

#include "ashlar/core/recipe.hpp"
#include "ashlar/optim/optimizer.hpp"
#include "ashlar/optim/rules/adamw.hpp"
#include "ashlar/optim/rules/muon.hpp"

namespace ashlar::inline v0 {

namespace detail {
/// What of a rule does not depend on an environment.
template <class R>
concept NamedRule = requires(const ParameterInfo& info) {
  { R::name } -> std::convertible_to<std::string_view>;
  { R::states } -> std::convertible_to<std::span<const std::string_view>>;
  { R::takes(info) } -> std::same_as<bool>;
};

template <class E, class... Rules>
struct OptimizerOf {
  static_assert((OptimizerRule<Rules, E> && ...),
                "Optimize<...>: a rule's Module<E> lacks part of the interface: a constructor from (Memory&, Queue&, "
                "const OptimizerConfig&, const std::vector<RuleUnit<E>*>&), and step (see ashlar/optim/rule.hpp).");
  using type = Optimizer<E, Rules...>;
};
}  // namespace detail

/// The rules that a model is trained with: Optimize<Muon, AdamW>. Parameters in no group are updated by the first
/// (--optimizer.name says another), and those that it does not take by the first that does.
template <class... Rules>
struct Optimize {
  static constexpr auto category = detail::Category::optimizer;
  static_assert(sizeof...(Rules) > 0, "Optimize<> needs at least one rule, as in Optimize<AdamW>.");
  static_assert((detail::NamedRule<Rules> && ...),
                "Optimize<...> takes rules such as AdamW, Adam, Muon: structs with a name, the names of their states, "
                "takes(const ParameterInfo&) and a Module<E> template (see ashlar/optim/rule.hpp).");
  static_assert(((detail::occurrences<Rules, Rules...> == 1) && ...),
                "Optimize<...> names a rule twice; name each once, and tell groups apart by --optimizer.groups.");

  template <class E>
  using In = typename detail::OptimizerOf<E, Rules...>::type;
  /// What groups need to know of the rules, in their order.
  static std::vector<RuleNote> notes() { return {RuleNote{Rules::name, &Rules::takes}...}; }
};

/// The rules of recipe R: its own, or AdamW alone.
template <class R>
using OptimizeOf = std::conditional_t<std::is_same_v<typename R::Optimization, detail::Unsaid>, Optimize<AdamW>,
                                      typename R::Optimization>;

}  // namespace ashlar::inline v0
