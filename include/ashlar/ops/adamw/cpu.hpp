// AdamW on the host. Read next: optim/rules/adamw.hpp.
#pragma once

#include <algorithm>
#include <cmath>

#include "ashlar/core/loops.hpp"
#include "ashlar/core/math.hpp"
#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/ops/adamw/step.hpp"

namespace ashlar::inline v0::ops::cpu {

template <class T>
void adamw(const AdamWStep& step, TensorView<const Acc<T>, Cpu> gradient_scale, TensorView<const Acc<T>, Cpu> gradient,
           TensorView<Acc<T>, Cpu> parameter, TensorView<Acc<T>, Cpu> exp_avg, TensorView<Acc<T>, Cpu> exp_avg_sq,
           TensorView<T, Cpu> compute_copy) {
  using A = Acc<T>;
  const A scale = gradient_scale.data()[0];
  if (!std::isfinite(scale)) return;
  // Differences to 1 are taken in double, before rounding to A.
  const A beta1 = A(step.beta1), rest1 = A(1 - step.beta1), beta2 = A(step.beta2), rest2 = A(1 - step.beta2);
  const A decay = A(step.decay()), added = A(step.added()), rate = A(step.lr / step.bias_correction1);
  const A correction2 = A(1 / step.bias_correction2), eps = A(step.eps);
  const A* const g = gradient.data();
  A* const p = parameter.data();
  A* const m = exp_avg.data();
  A* const v = exp_avg_sq.data();
  const index_t n = parameter.count();
  constexpr index_t block = 4096;  // a block's new parameters are still in the cache when the copy reads them
  ASHLAR_OMP(parallel for if (worth_a_fork(n)))
  for (index_t begin = 0; begin < n; begin += block) {
    const index_t end = std::min(n, begin + block);
    math_loop<A>(end - begin, [=](index_t offset) {
      const index_t i = begin + offset;
      const A g_i = g[i] * scale + added * p[i];
      const A m_i = beta1 * m[i] + rest1 * g_i;
      const A v_i = beta2 * v[i] + rest2 * (g_i * g_i);
      m[i] = m_i;
      v[i] = v_i;
      p[i] = p[i] * decay - rate * (m_i / (fast_sqrt(v_i * correction2) + eps));
    });
    if (!compute_copy) continue;
    T* const copy = compute_copy.data();
    ASHLAR_SIMD
    for (index_t i = begin; i < end; ++i) copy[i] = T(p[i]);
  }
}

}  // namespace ashlar::inline v0::ops::cpu
