// What makes a condition, on the host. Read next: models/joint/ends.hpp.
#pragma once

#include "ashlar/core/dtype.hpp"
#include "ashlar/core/loops.hpp"
#include "ashlar/core/math.hpp"
#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/ops/conditioning/timestep.hpp"

namespace ashlar::inline v0::ops::cpu {

template <class T>
void timestep_features(TensorView<const float, Cpu> t, TensorView<T, Cpu> out) {
  for (index_t b = 0; b < out.rows(); ++b)
    for (index_t i = 0; i < out.cols(); ++i)
      out.row(b)[i] = T(Acc<T>(timestep_feature(double(t.data()[b]), i, out.cols())));
}

template <class T>
void silu(TensorView<const T, Cpu> x, TensorView<T, Cpu> y) {
  using A = Acc<T>;
  const T* const in = x.data();
  T* const out = y.data();
  math_loop<A>(x.count(), [=](index_t i) { out[i] = T(A(in[i]) * sigmoid(A(in[i]))); });
}

template <class T>
void silu_backward(TensorView<const T, Cpu> dy, TensorView<const T, Cpu> x, TensorView<T, Cpu> dx) {
  using A = Acc<T>;
  const T *const d = dy.data(), *const in = x.data();
  T* const out = dx.data();
  math_loop<A>(x.count(), [=](index_t i) {
    const A s = sigmoid(A(in[i]));
    out[i] = T(A(out[i]) + A(d[i]) * s * (A(1) + A(in[i]) * (A(1) - s)));
  });
}

}  // namespace ashlar::inline v0::ops::cpu
