// Environment: where and how modules run. What they compute is in their own type arguments, so that recipes which
// differ in a mask or a router share every other module. Read next: nn/context.hpp.
#pragma once

#include "ashlar/core/dtype.hpp"
#include "ashlar/core/strategy.hpp"
#include "ashlar/core/tensor_view.hpp"

namespace ashlar::inline v0 {

struct PlainWeights;  // nn/weights.hpp

/// One device, one compute type, the strategies compiled in, and what weights are made of: the one template parameter
/// of modules.
template <class D, class T, Strategies S = single, class W = PlainWeights>
struct Environment {
  using Device = D;
  /// What weights are multiplied in and activations are stored in.
  using Compute = T;
  /// What master weights, gradients, optimizer states and statistics are kept in.
  using Master = Acc<T>;
  /// What the matrices of attention and feed-forward are: plain, or with adapters.
  using Weights = W;

  template <class U>
  using ViewOf = TensorView<U, D>;
  using View = ViewOf<T>;
  using ConstView = ViewOf<const T>;

  static constexpr Strategies strategies = S;
  /// Whether code of this strategy is compiled in: `if constexpr (E::has(tp))`.
  static constexpr bool has(Strategies s) { return S.contains(s); }
};

}  // namespace ashlar::inline v0
