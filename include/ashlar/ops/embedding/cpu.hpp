// Token embedding on the host. Read next: nn/embedding.hpp.
#pragma once

#include <algorithm>
#include <cstdint>

#include "ashlar/core/loops.hpp"
#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"

namespace ashlar::inline v0::ops::cpu {

template <class T>
void embedding(TensorView<const std::int32_t, Cpu> ids, TensorView<const T, Cpu> table, index_t first_id,
               TensorView<T, Cpu> out) {
  const index_t rows = out.rows(), cols = out.cols(), vocab = table.rows();
  ASHLAR_OMP(parallel for if (worth_a_fork(rows * cols)))
  for (index_t i = 0; i < rows; ++i) {
    const index_t id = ids.data()[i] - first_id;
    if (id >= 0 && id < vocab)
      std::copy_n(table.row(id), cols, out.row(i));
    else
      std::fill_n(out.row(i), cols, T(0.0f));
  }
}

template <class T>
void embedding_backward(TensorView<const std::int32_t, Cpu> ids, TensorView<const T, Cpu> dy, index_t first_id,
                        TensorView<Acc<T>, Cpu> dtable) {
  using A = Acc<T>;
  const index_t rows = dy.rows(), cols = dy.cols(), vocab = dtable.rows();
  // Threads own slabs of columns, so that each walks all tokens in order and none meets another.
  constexpr index_t slab = 64;
  ASHLAR_OMP(parallel for if (worth_a_fork(rows * cols)))
  for (index_t begin = 0; begin < cols; begin += slab) {
    const index_t width = std::min(slab, cols - begin);
    for (index_t i = 0; i < rows; ++i) {
      const index_t id = ids.data()[i] - first_id;
      if (id < 0 || id >= vocab) continue;
      const T* const d = dy.row(i) + begin;
      A* const sum = dtable.row(id) + begin;
      ASHLAR_SIMD
      for (index_t c = 0; c < width; ++c) sum[c] += A(d[c]);
    }
  }
}

}  // namespace ashlar::inline v0::ops::cpu
