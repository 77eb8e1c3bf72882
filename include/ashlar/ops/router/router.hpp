// Token-choice top-k routing: scores, selection, weights, counts. Read next: ops/router/cpu.hpp.
#pragma once

#include <algorithm>
#include <type_traits>

#include <cstdint>
#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/device/cuda/cuda.hpp"
#include "ashlar/device/meta.hpp"
#include "ashlar/ops/router/cpu.hpp"
#include "ashlar/ops/router/options.hpp"

namespace ashlar::inline v0::ops {

namespace cuda {
template <class A>
void top_k_router(Cuda::Queue&, const RouterOptions& options, TensorView<const A, Cuda> logits,
                  TensorView<const A, Cuda> bias, TensorView<A, Cuda> probabilities,
                  TensorView<std::int32_t, Cuda> experts, TensorView<A, Cuda> weights,
                  TensorView<std::int32_t, Cuda> counts);
template <class A>
void top_k_router_backward(Cuda::Queue&, const RouterOptions& options, TensorView<const A, Cuda> probabilities,
                           TensorView<const std::int32_t, Cuda> experts, TensorView<const A, Cuda> dweights,
                           TensorView<A, Cuda> dlogits);
}  // namespace cuda

/// For each row of logits [N, E]: probabilities [N, E] = sigmoid or softmax of it; experts [N, k] = the k columns with
/// the largest probabilities + bias, in decreasing order, the lower column first among equals (NaN counts as smallest),
/// of all columns, or of the options.group_limit groups of columns whose options.group_best largest add up to most;
/// weights [N, k] = their probabilities (without bias), divided by their sum + 1e-20 if options.normalize, times
/// options.scale. counts [E] += how often each expert was chosen. `bias` [E] may be empty.
template <class A, class D>
void top_k_router(typename D::Queue& queue, const RouterOptions& options, In<A, D> logits, In<A, D> bias,
                  TensorView<A, D> probabilities, TensorView<std::int32_t, D> experts, TensorView<A, D> weights,
                  TensorView<std::int32_t, D> counts) {
  check(probabilities.count() == logits.count() && experts.rows() == logits.rows() && experts.cols() == options.top_k &&
            weights.count() == experts.count() && counts.count() == logits.cols() && options.top_k <= logits.cols(),
        "top_k_router: logits and probabilities [N, E], experts and weights [N, k], counts [E], k <= E");
  check(options.groups > 0 && logits.cols() % options.groups == 0 && options.group_limit > 0 &&
            options.group_best > 0 &&
            options.top_k <= logits.cols() / options.groups * std::min(options.group_limit, options.groups),
        "top_k_router: groups divide the E columns, and those of the limit have k");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count((4.0 + options.top_k) * logits.count(), logits, bias, probabilities, experts, weights, counts, counts);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::top_k_router<A>(options, logits, bias, probabilities, experts, weights, counts);
  else
    cuda::top_k_router<A>(queue, options, logits, bias, probabilities, experts, weights, counts);
}

/// dlogits [N, E] from dweights [N, k]; the selection has no gradient. Every element of dlogits is written.
template <class A, class D>
void top_k_router_backward(typename D::Queue& queue, const RouterOptions& options, In<A, D> probabilities,
                           In<std::int32_t, D> experts, In<A, D> dweights, TensorView<A, D> dlogits) {
  check(probabilities.count() == dlogits.count() && experts.count() == dweights.count(),
        "top_k_router_backward: probabilities and dlogits [N, E], experts and dweights [N, k]");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(6.0 * dlogits.count(), probabilities, experts, dweights, dlogits);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::top_k_router_backward<A>(options, probabilities, experts, dweights, dlogits);
  else
    cuda::top_k_router_backward<A>(queue, options, probabilities, experts, dweights, dlogits);
}

}  // namespace ashlar::inline v0::ops
