// SwiGLU on the host. Read next: nn/swiglu.hpp.
#pragma once

#include "ashlar/core/loops.hpp"
#include "ashlar/core/math.hpp"
#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"

namespace ashlar::inline v0::ops::cpu {

template <class T>
void swiglu(TensorView<const T, Cpu> gate, TensorView<const T, Cpu> up, TensorView<T, Cpu> h) {
  using A = Acc<T>;
  const index_t rows = h.rows(), cols = h.cols();
  ASHLAR_OMP(parallel for if (worth_a_fork(rows * cols)))
  for (index_t i = 0; i < rows; ++i) {
    const T* const g = gate.row(i);
    const T* const u = up.row(i);
    T* const out = h.row(i);
    math_loop<A>(cols, [=](index_t c) { out[c] = T(A(g[c]) * sigmoid(A(g[c])) * A(u[c])); });
  }
}

template <class T>
void swiglu_backward(TensorView<const T, Cpu> dh, TensorView<const T, Cpu> gate, TensorView<const T, Cpu> up,
                     TensorView<T, Cpu> dgate, TensorView<T, Cpu> dup) {
  using A = Acc<T>;
  const index_t rows = dh.rows(), cols = dh.cols();
  ASHLAR_OMP(parallel for if (worth_a_fork(rows * cols)))
  for (index_t i = 0; i < rows; ++i) {
    const T* const d = dh.row(i);
    const T* const g = gate.row(i);
    const T* const u = up.row(i);
    T* const dg = dgate.row(i);
    T* const du = dup.row(i);
    math_loop<A>(cols, [=](index_t c) {
      // All three are read before either result is written: the results may take the place of the arguments.
      const A d_c = A(d[c]), g_c = A(g[c]), u_c = A(u[c]);
      const A s = sigmoid(g_c);
      dg[c] = T(d_c * u_c * (s * (A(1) + g_c * (A(1) - s))));
      du[c] = T(d_c * (g_c * s));
    });
  }
}

}  // namespace ashlar::inline v0::ops::cpu
