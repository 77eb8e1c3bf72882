// Modulation on the host: rows one at a time, then the sums over a sequence's rows, row after row. Read next:
// models/joint/modulation.hpp.
#pragma once

#include <cmath>

#include "ashlar/core/dtype.hpp"
#include "ashlar/core/loops.hpp"
#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/ops/modulation/shape.hpp"

namespace ashlar::inline v0::ops::cpu {

template <class T>
void modulate(TensorView<const T, Cpu> x, TensorView<const T, Cpu> shift, TensorView<const T, Cpu> scale,
              SequenceRows of, double eps, TensorView<T, Cpu> y, TensorView<Acc<T>, Cpu> statistics) {
  using A = Acc<T>;
  const index_t rows = x.rows(), cols = x.cols();
  ASHLAR_OMP(parallel for if (worth_a_fork(rows * cols)))
  for (index_t i = 0; i < rows; ++i) {
    const T *const in = x.row(i), *const s = scale.row(of.sequence(i)), *const b = shift.row(of.sequence(i));
    const A mean = lane_sum<A>(cols, [=](index_t c) { return A(in[c]); }) / A(cols);
    const A squares = lane_sum<A>(cols, [=](index_t c) { return (A(in[c]) - mean) * (A(in[c]) - mean); });
    const A rstd = A(1) / std::sqrt(squares / A(cols) + A(eps));
    statistics.row(i)[0] = mean;
    statistics.row(i)[1] = rstd;
    T* const out = y.row(i);
    for (index_t c = 0; c < cols; ++c) out[c] = T((A(in[c]) - mean) * rstd * (A(1) + A(s[c])) + A(b[c]));
  }
}

template <class T>
void modulate_backward(TensorView<const T, Cpu> dy, TensorView<const T, Cpu> x, TensorView<const T, Cpu> scale,
                       TensorView<const Acc<T>, Cpu> statistics, SequenceRows of, TensorView<T, Cpu> dx,
                       TensorView<T, Cpu> dshift, TensorView<T, Cpu> dscale) {
  using A = Acc<T>;
  const index_t rows = x.rows(), cols = x.cols();
  ASHLAR_OMP(parallel for if (worth_a_fork(rows * cols)))
  for (index_t i = 0; i < rows; ++i) {
    const T *const d = dy.row(i), *const in = x.row(i), *const s = scale.row(of.sequence(i));
    const A mean = statistics.row(i)[0], rstd = statistics.row(i)[1];
    const auto dnormed = [=](index_t c) { return A(d[c]) * (A(1) + A(s[c])); };
    const A plain = lane_sum<A>(cols, dnormed) / A(cols);
    const A along = lane_sum<A>(cols, [=](index_t c) { return dnormed(c) * (A(in[c]) - mean) * rstd; }) / A(cols);
    T* const out = dx.row(i);
    for (index_t c = 0; c < cols; ++c)
      out[c] = T(A(out[c]) + rstd * (dnormed(c) - plain - (A(in[c]) - mean) * rstd * along));
  }
  ASHLAR_OMP(parallel for if (worth_a_fork(rows * cols)))
  for (index_t k = 0; k < dshift.rows() * cols; ++k) {
    const index_t b = k / cols, c = k % cols;
    A sum = 0, product = 0;
    for (index_t i = of.begin(b, rows); i < of.begin(b + 1, rows); ++i) {
      const A d = A(dy.row(i)[c]);
      sum += d;
      product += d * ((A(x.row(i)[c]) - statistics.row(i)[0]) * statistics.row(i)[1]);
    }
    dshift.row(b)[c] = T(A(dshift.row(b)[c]) + sum);
    dscale.row(b)[c] = T(A(dscale.row(b)[c]) + product);
  }
}

template <class T>
void add_gated(TensorView<const T, Cpu> x, TensorView<const T, Cpu> f, TensorView<const T, Cpu> gate, SequenceRows of,
               TensorView<T, Cpu> out) {
  using A = Acc<T>;
  const index_t rows = x.rows(), cols = x.cols();
  ASHLAR_OMP(parallel for if (worth_a_fork(rows * cols)))
  for (index_t i = 0; i < rows; ++i) {
    const T *const a = x.row(i), *const v = f.row(i), *const g = gate.row(of.sequence(i));
    T* const o = out.row(i);
    for (index_t c = 0; c < cols; ++c) o[c] = T(A(a[c]) + A(g[c]) * A(v[c]));
  }
}

template <class T>
void add_gated_backward(TensorView<const T, Cpu> dout, TensorView<const T, Cpu> f, TensorView<const T, Cpu> gate,
                        SequenceRows of, TensorView<T, Cpu> df, TensorView<T, Cpu> dgate) {
  using A = Acc<T>;
  const index_t rows = f.rows(), cols = f.cols();
  ASHLAR_OMP(parallel for if (worth_a_fork(rows * cols)))
  for (index_t i = 0; i < rows; ++i) {
    const T *const d = dout.row(i), *const g = gate.row(of.sequence(i));
    T* const o = df.row(i);
    for (index_t c = 0; c < cols; ++c) o[c] = T(A(g[c]) * A(d[c]));
  }
  ASHLAR_OMP(parallel for if (worth_a_fork(rows * cols)))
  for (index_t k = 0; k < dgate.rows() * cols; ++k) {
    const index_t b = k / cols, c = k % cols;
    A sum = 0;
    for (index_t i = of.begin(b, rows); i < of.begin(b + 1, rows); ++i) sum += A(dout.row(i)[c]) * A(f.row(i)[c]);
    dgate.row(b)[c] = T(A(dgate.row(b)[c]) + sum);
  }
}

}  // namespace ashlar::inline v0::ops::cpu
