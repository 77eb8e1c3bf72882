// Squared errors on the host. Read next: models/joint/objective.hpp.
#pragma once

#include "ashlar/core/dtype.hpp"
#include "ashlar/core/loops.hpp"
#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"

namespace ashlar::inline v0::ops::cpu {

template <class T>
void squared_error(TensorView<const T, Cpu> x, TensorView<const float, Cpu> target, double scale, TensorView<T, Cpu> dx,
                   TensorView<Acc<T>, Cpu> loss) {
  using A = Acc<T>;
  const index_t rows = x.rows(), cols = x.cols();
  ASHLAR_OMP(parallel for if (worth_a_fork(rows * cols)))
  for (index_t i = 0; i < rows; ++i) {
    const T* const in = x.row(i);
    const float* const to = target.row(i);
    loss.data()[i] =
        lane_sum<A>(cols, [=](index_t c) { return (A(in[c]) - A(to[c])) * (A(in[c]) - A(to[c])); }) / A(cols);
    if (!dx) continue;
    T* const out = dx.row(i);
    for (index_t c = 0; c < cols; ++c) out[c] = T(A(2 * scale) * (A(in[c]) - A(to[c])) / A(cols));
  }
}

}  // namespace ashlar::inline v0::ops::cpu
