// Environment: what every module is a template over. Read next: nn/context.hpp.
#pragma once

#include "ashlar/core/policy.hpp"

namespace ashlar::inline v0 {

/// A recipe on one device with one compute type: the one template parameter of modules.
template <class R, class D, class T>
struct Environment {
  using Recipe = R;
  using Device = D;
  /// What weights are multiplied in and activations are stored in.
  using Compute = T;
  /// What master weights, gradients, optimizer states and statistics are kept in.
  using Master = Acc<T>;
  static constexpr Strategies strategies = R::strategies;
  /// Whether the recipe compiles this strategy in: `if constexpr (E::has(tp))`.
  static constexpr bool has(Strategies s) { return strategies.contains(s); }
};

}  // namespace ashlar::inline v0
