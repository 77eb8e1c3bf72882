// Top-k routing on the host: each token keeps its k best experts sorted while it walks the row. Read next:
// moe/router.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "ashlar/core/loops.hpp"
#include "ashlar/core/math.hpp"
#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/ops/router/options.hpp"

namespace ashlar::inline v0::ops::cpu {

namespace detail {

/// p [n] = the scores of the logits z [n].
template <class A>
void router_scores(ScoreFunction score, index_t n, const A* z, A* p) {
  if (score == ScoreFunction::sigmoid) {
    math_loop<A>(n, [=](index_t e) { p[e] = sigmoid(z[e]); });
    return;
  }
  A top = z[0];
  for (index_t e = 1; e < n; ++e) top = z[e] > top ? z[e] : top;
  math_loop<A>(n, [=](index_t e) { p[e] = fast_exp(z[e] - top); });
  const A sum = lane_sum<A>(n, [=](index_t e) { return p[e]; });
  ASHLAR_SIMD
  for (index_t e = 0; e < n; ++e) p[e] /= sum;
}

/// best [k] = the columns with the largest p + bias (bias may be null), best first, the lower column first among
/// equals; NaN is smaller than everything.
template <class A>
void top_columns(index_t n, index_t k, const A* p, const A* bias, std::int32_t* best) {
  const auto value = [=](index_t e) { return bias ? p[e] + bias[e] : p[e]; };
  const auto better = [](A a, A b) { return a > b || (std::isnan(b) && !std::isnan(a)); };
  index_t kept = 0;
  A last = 0;  // the value of the last one kept
  for (index_t e = 0; e < n; ++e) {
    const A v = value(e);
    if (kept == k && !better(v, last)) continue;
    index_t at = kept < k ? kept++ : k - 1;
    for (; at > 0 && better(v, value(best[at - 1])); --at) best[at] = best[at - 1];
    best[at] = static_cast<std::int32_t>(e);
    last = value(best[kept - 1]);
  }
}

}  // namespace detail

template <class A>
void top_k_router(const RouterOptions& options, TensorView<const A, Cpu> logits, TensorView<const A, Cpu> bias,
                  TensorView<A, Cpu> probabilities, TensorView<std::int32_t, Cpu> experts, TensorView<A, Cpu> weights,
                  TensorView<std::int32_t, Cpu> counts) {
  const index_t rows = logits.rows(), n = logits.cols(), k = options.top_k;
  ASHLAR_OMP(parallel for if (worth_a_fork(4 * rows * n)))
  for (index_t i = 0; i < rows; ++i) {
    A* const p = probabilities.row(i);
    std::int32_t* const chosen = experts.row(i);
    A* const w = weights.row(i);
    detail::router_scores(options.score, n, logits.row(i), p);
    detail::top_columns<A>(n, k, p, bias ? bias.data() : nullptr, chosen);
    A sum = 0;
    for (index_t j = 0; j < k; ++j) sum += p[chosen[j]];
    const A factor = A(options.scale) / (options.normalize ? sum + A(1e-20) : A(1));
    for (index_t j = 0; j < k; ++j) w[j] = p[chosen[j]] * factor;
  }
  for (index_t i = 0; i < rows; ++i)
    for (index_t j = 0; j < k; ++j) ++counts.data()[experts.row(i)[j]];
}

template <class A>
void top_k_router_backward(const RouterOptions& options, TensorView<const A, Cpu> probabilities,
                           TensorView<const std::int32_t, Cpu> experts, TensorView<const A, Cpu> dweights,
                           TensorView<A, Cpu> dlogits) {
  const index_t rows = dlogits.rows(), n = dlogits.cols(), k = experts.cols();
  ASHLAR_OMP(parallel for if (worth_a_fork(rows * n)))
  for (index_t i = 0; i < rows; ++i) {
    const A* const p = probabilities.row(i);
    const std::int32_t* const chosen = experts.row(i);
    const A* const dw = dweights.row(i);
    A* const dz = dlogits.row(i);
    // w = factor p, where factor = scale / sum of the chosen p: dp = factor (dw - sum of dw p / sum of p).
    A factor = A(options.scale), shift = 0;
    if (options.normalize) {
      A sum = A(1e-20);
      for (index_t j = 0; j < k; ++j) sum += p[chosen[j]];
      for (index_t j = 0; j < k; ++j) shift += dw[j] * p[chosen[j]] / sum;
      factor /= sum;
    }
    std::fill_n(dz, n, A(0));
    if (options.score == ScoreFunction::sigmoid) {
      for (index_t j = 0; j < k; ++j) {
        const A p_j = p[chosen[j]];
        dz[chosen[j]] = factor * (dw[j] - shift) * p_j * (A(1) - p_j);
      }
    } else {
      A dot = 0;
      for (index_t j = 0; j < k; ++j) {
        dz[chosen[j]] = factor * (dw[j] - shift);
        dot += p[chosen[j]] * dz[chosen[j]];
      }
      ASHLAR_SIMD
      for (index_t e = 0; e < n; ++e) dz[e] = p[e] * (dz[e] - dot);
    }
  }
}

}  // namespace ashlar::inline v0::ops::cpu
