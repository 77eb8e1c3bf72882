// RMSNorm on the host: one row at a time, weight gradients in fixed blocks of rows. Read next: nn/rms_norm.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "ashlar/core/loops.hpp"
#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"

namespace ashlar::inline v0::ops::cpu {

template <class T>
void rms_norm(TensorView<const T, Cpu> x, TensorView<const T, Cpu> residual, TensorView<const T, Cpu> weight,
              double eps, TensorView<T, Cpu> h, TensorView<T, Cpu> y, TensorView<Acc<T>, Cpu> rstd) {
  using A = Acc<T>;
  const index_t rows = x.rows(), cols = x.cols();
  const T* const w = weight.data();
  ASHLAR_OMP(parallel for if (worth_a_fork(rows * cols)))
  for (index_t i = 0; i < rows; ++i) {
    const T* row = x.row(i);
    if (residual) {
      const T* const a = row;
      const T* const b = residual.row(i);
      T* const out = h.row(i);
      ASHLAR_SIMD
      for (index_t c = 0; c < cols; ++c) out[c] = T(A(a[c]) + A(b[c]));
      row = out;
    }
    // Squares of huge values overflow to infinity: then r = 0 and the row is 0, rather than NaN.
    const A squares = lane_sum<A>(cols, [=](index_t c) { return A(row[c]) * A(row[c]); });
    const A r = A(1) / std::sqrt(squares / A(cols) + A(eps));
    rstd.data()[i] = r;
    T* const out = y.row(i);
    ASHLAR_SIMD
    for (index_t c = 0; c < cols; ++c) out[c] = T(A(row[c]) * r * A(w[c]));
  }
}

template <class T>
void rms_norm_backward(TensorView<const T, Cpu> dy, TensorView<const T, Cpu> h, TensorView<const T, Cpu> weight,
                       TensorView<const Acc<T>, Cpu> rstd, TensorView<T, Cpu> dx, bool accumulate,
                       TensorView<Acc<T>, Cpu> dweight) {
  using A = Acc<T>;
  const index_t rows = h.rows(), cols = h.cols();
  const T* const w = weight.data();
  // Each block of rows sums its part of dweight, and the parts are added in order. The blocks depend on the number of
  // rows alone, so the result doesn't depend on the number of threads.
  const index_t block = std::max<index_t>(16, ceil_div(rows, 64));
  const index_t blocks = ceil_div(rows, block);
  std::vector<A> partial(static_cast<std::size_t>(blocks * cols));
  ASHLAR_OMP(parallel for if (worth_a_fork(rows * cols)))
  for (index_t b = 0; b < blocks; ++b) {
    A* const dw = partial.data() + b * cols;
    for (index_t i = b * block; i < std::min(rows, (b + 1) * block); ++i) {
      const T* const d = dy.row(i);
      const T* const x = h.row(i);
      T* const out = dx.row(i);
      const A r = rstd.data()[i];
      const A dot = lane_sum<A>(cols, [=](index_t c) { return A(d[c]) * A(w[c]) * (A(x[c]) * r); });
      const A mean = dot / A(cols);
      if (dweight) {
        ASHLAR_SIMD
        for (index_t c = 0; c < cols; ++c) dw[c] += A(d[c]) * (A(x[c]) * r);
      }
      if (accumulate) {
        ASHLAR_SIMD
        for (index_t c = 0; c < cols; ++c) out[c] = T(A(out[c]) + r * (A(d[c]) * A(w[c]) - A(x[c]) * r * mean));
      } else {
        ASHLAR_SIMD
        for (index_t c = 0; c < cols; ++c) out[c] = T(r * (A(d[c]) * A(w[c]) - A(x[c]) * r * mean));
      }
    }
  }
  if (!dweight) return;
  A* const total = dweight.data();
  for (index_t b = 0; b < blocks; ++b) {
    const A* const dw = partial.data() + b * cols;
    ASHLAR_SIMD
    for (index_t c = 0; c < cols; ++c) total[c] += dw[c];
  }
}

}  // namespace ashlar::inline v0::ops::cpu
