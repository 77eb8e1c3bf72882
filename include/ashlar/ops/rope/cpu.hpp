// Rotary position embedding on the host. Read next: nn/attention.hpp.
#pragma once

#include "ashlar/core/parallel.hpp"
#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"

namespace ashlar::inline v0::ops::cpu {

template <class T>
void rope(TensorView<T, Cpu> x, index_t head_dim, index_t seq_len, index_t offset, TensorView<const Acc<T>, Cpu> table,
          bool backward) {
  using A = Acc<T>;
  const index_t rows = x.rows(), heads = x.cols() / head_dim, pairs = head_dim / 2;
  const A sign = backward ? A(-1) : A(1);
  ASHLAR_OMP(parallel for if (worth_a_fork(x.count())))
  for (index_t r = 0; r < rows; ++r) {
    const A* const angle = table.row(offset + r % seq_len);
    for (index_t head = 0; head < heads; ++head) {
      T* const v = x.row(r) + head * head_dim;
      ASHLAR_SIMD
      for (index_t i = 0; i < pairs; ++i) {
        const A cos = angle[2 * i], sin = sign * angle[2 * i + 1];
        const A even = A(v[2 * i]), odd = A(v[2 * i + 1]);
        v[2 * i] = T(even * cos - odd * sin);
        v[2 * i + 1] = T(even * sin + odd * cos);
      }
    }
  }
}

}  // namespace ashlar::inline v0::ops::cpu
