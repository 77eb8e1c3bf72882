// Muon's passes on the host. Read next: optim/rules/muon.hpp.
#pragma once

#include <algorithm>
#include <cmath>

#include "ashlar/core/loops.hpp"
#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/ops/muon/step.hpp"

namespace ashlar::inline v0::ops::cpu {

template <class T>
void momentum(const MomentumStep& step, TensorView<const Acc<T>, Cpu> gradient_scale,
              TensorView<const Acc<T>, Cpu> gradient, TensorView<Acc<T>, Cpu> buffer, TensorView<T, Cpu> direction) {
  using A = Acc<T>;
  const A scale = gradient_scale.data()[0];
  const bool finite = std::isfinite(scale), nesterov = step.nesterov;
  const A keep = A(step.momentum), rest = A(1 - step.momentum);
  const A* const g = gradient.data();
  A* const b = buffer.data();
  T* const d = direction.data();
  const index_t n = buffer.count();
  ASHLAR_OMP(parallel for if (worth_a_fork(n)))
  for (index_t i = 0; i < n; ++i) {
    if (!finite) {
      d[i] = T(A(0));
      continue;
    }
    const A part = rest * (g[i] * scale);
    b[i] = keep * b[i] + part;
    d[i] = T(nesterov ? keep * b[i] + part : b[i]);
  }
}

template <class T>
void normalize(TensorView<const T, Cpu> x, TensorView<const double, Cpu> sum_of_squares, double eps,
               TensorView<T, Cpu> out) {
  using A = Acc<T>;
  const A scale = A(1 / std::max(std::sqrt(sum_of_squares.data()[0]), eps));
  const index_t rows = x.rows(), cols = x.cols();
  ASHLAR_OMP(parallel for if (worth_a_fork(rows * cols)))
  for (index_t i = 0; i < rows; ++i)
    for (index_t c = 0; c < cols; ++c) out.row(i)[c] = T(A(x.row(i)[c]) * scale);
}

template <class T>
void combine(double alpha, TensorView<const T, Cpu> x, double beta, TensorView<const Acc<T>, Cpu> y,
             TensorView<T, Cpu> out) {
  using A = Acc<T>;
  const A a = A(alpha), b = A(beta);
  const index_t n = out.count();
  ASHLAR_OMP(parallel for if (worth_a_fork(n)))
  for (index_t i = 0; i < n; ++i) out.data()[i] = T(a * A(x.data()[i]) + b * y.data()[i]);
}

template <class T>
void descend(const DescentStep& step, TensorView<const Acc<T>, Cpu> gradient_scale, TensorView<const T, Cpu> direction,
             index_t first, TensorView<Acc<T>, Cpu> parameter, TensorView<T, Cpu> compute_copy) {
  using A = Acc<T>;
  if (!std::isfinite(gradient_scale.data()[0])) return;
  const A decay = A(1 - step.lr * step.weight_decay), rate = A(step.rate);
  const index_t n = parameter.count(), cols = direction.cols();
  ASHLAR_OMP(parallel for if (worth_a_fork(n)))
  for (index_t i = 0; i < n; ++i) {
    A& p = parameter.data()[i];
    p = p * decay - rate * A(direction.row((first + i) / cols)[(first + i) % cols]);
    if (compute_copy) compute_copy.data()[i] = T(p);
  }
}

}  // namespace ashlar::inline v0::ops::cpu
