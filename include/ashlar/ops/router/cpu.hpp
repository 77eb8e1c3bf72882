// Top-k routing on the host: each token keeps its k best experts sorted while it walks the row. Read next:
// moe/router.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

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

/// best [k] = the columns of [0, n) that `allowed` has, with the largest value(column), best first, the lower column
/// first among equals; NaN is smaller than everything. Returns how many there are, if fewer than k.
template <class A, class Value, class Allowed>
index_t top_columns(index_t n, index_t k, const Value& value, const Allowed& allowed, std::int32_t* best) {
  const auto better = [](A a, A b) { return a > b || (std::isnan(b) && !std::isnan(a)); };
  index_t kept = 0;
  A last = 0;  // the value of the last one kept
  for (index_t e = 0; e < n; ++e) {
    if (!allowed(e)) continue;
    const A v = value(e);
    if (kept == k && !better(v, last)) continue;
    index_t at = kept < k ? kept++ : k - 1;
    for (; at > 0 && better(v, value(best[at - 1])); --at) best[at] = best[at - 1];
    best[at] = static_cast<std::int32_t>(e);
    last = value(best[kept - 1]);
  }
  return kept;
}

/// in_limit [groups] = whether a group of the n columns is among the group_limit with the largest values.
template <class A, class Value>
void limit_groups(const RouterOptions& o, index_t n, const Value& value, std::vector<char>& in_limit) {
  const index_t size = n / o.groups;
  std::vector<A> group_value;
  std::vector<std::int32_t> best(static_cast<std::size_t>(std::max(o.group_best, o.group_limit)));
  const auto all = [](index_t) { return true; };
  for (index_t g = 0; g < o.groups; ++g) {
    const index_t found = top_columns<A>(
        size, o.group_best, [&](index_t e) { return value(g * size + e); }, all, best.data());
    A sum = 0;
    for (index_t j = 0; j < found; ++j) sum += value(g * size + best[static_cast<std::size_t>(j)]);
    group_value.push_back(sum);
  }
  in_limit.assign(static_cast<std::size_t>(o.groups), 0);
  const auto of_group = [&](index_t g) { return group_value[static_cast<std::size_t>(g)]; };
  const index_t found = top_columns<A>(o.groups, o.group_limit, of_group, all, best.data());
  for (index_t j = 0; j < found; ++j) in_limit[static_cast<std::size_t>(best[static_cast<std::size_t>(j)])] = 1;
}

}  // namespace detail

template <class A>
void top_k_router(const RouterOptions& options, TensorView<const A, Cpu> logits, TensorView<const A, Cpu> bias,
                  TensorView<A, Cpu> probabilities, TensorView<std::int32_t, Cpu> experts, TensorView<A, Cpu> weights,
                  TensorView<std::int32_t, Cpu> counts) {
  const index_t rows = logits.rows(), n = logits.cols(), k = options.top_k;
  const bool in_turn = options.in_turn, limits = !in_turn && options.group_limit < options.groups;
  ASHLAR_OMP(parallel for if (worth_a_fork(4 * rows * n)))
  for (index_t i = 0; i < rows; ++i) {
    A* const p = probabilities.row(i);
    std::int32_t* const chosen = experts.row(i);
    A* const w = weights.row(i);
    detail::router_scores(options.score, n, logits.row(i), p);
    const A* const b = bias ? bias.data() : nullptr;
    const auto value = [=](index_t e) { return in_turn ? A(-((e + n - i * k % n) % n)) : b ? p[e] + b[e] : p[e]; };
    std::vector<char> in_limit;
    if (limits) detail::limit_groups<A>(options, n, value, in_limit);
    const auto allowed = [&](index_t e) {
      return !limits || in_limit[static_cast<std::size_t>(e / (n / options.groups))] != 0;
    };
    detail::top_columns<A>(n, k, value, allowed, chosen);
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
