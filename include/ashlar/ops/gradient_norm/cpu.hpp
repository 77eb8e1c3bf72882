// The gradient norm on the host. Read next: optim/optimizer.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "ashlar/core/loops.hpp"
#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"

namespace ashlar::inline v0::ops::cpu {

template <class A>
void sum_of_squares(TensorView<const A, Cpu> x, TensorView<double, Cpu> sum) {
  const A* const v = x.data();
  sum.data()[0] += chunked_sum<double>(x.count(), [=](index_t i) { return double(v[i]) * double(v[i]); });
}

template <class A>
void clip_scale(TensorView<const double, Cpu> sum_of_squares, double max_norm, TensorView<A, Cpu> norm_and_scale) {
  const double norm = std::sqrt(sum_of_squares.data()[0]);
  const double scale = max_norm > 0 ? std::min(1.0, max_norm / (norm + 1e-6)) : 1.0;
  A* const out = norm_and_scale.data();
  out[0] = A(norm);
  const bool finite = std::isfinite(out[0]);
  out[1] = finite ? A(scale) : std::numeric_limits<A>::quiet_NaN();
  if (!finite) out[2] += A(1);
}

}  // namespace ashlar::inline v0::ops::cpu
