// Columns of heads on the host. Read next: nn/attention/latent.hpp.
#pragma once

#include <algorithm>

#include "ashlar/core/dtype.hpp"
#include "ashlar/core/loops.hpp"
#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/ops/heads/shape.hpp"

namespace ashlar::inline v0::ops::cpu {

template <class T>
void move_heads(TensorView<const T, Cpu> x, const HeadColumns& from, TensorView<T, Cpu> y, const HeadColumns& to,
                index_t width) {
  const index_t rows = x.rows(), sums = to.heads == 1 ? from.heads : 1;
  ASHLAR_OMP(parallel for if (worth_a_fork(rows * std::max(from.heads, to.heads) * width)))
  for (index_t r = 0; r < rows; ++r)
    for (index_t h = 0; h < to.heads; ++h) {
      const T* const source = x.row(r) + (from.heads == 1 ? 0 : h) * from.head_dim + from.begin;
      T* const target = y.row(r) + h * to.head_dim + to.begin;
      for (index_t j = 0; j < width; ++j) {
        Acc<T> sum = Acc<T>(source[j]);
        for (index_t k = 1; k < sums; ++k) sum += Acc<T>(source[k * from.head_dim + j]);
        target[j] = T(sum);
      }
    }
}

}  // namespace ashlar::inline v0::ops::cpu
