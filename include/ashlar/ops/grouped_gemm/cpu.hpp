// Grouped GEMM on the host: one matrix product an expert. Read next: ops/matmul/cpu.hpp, moe/experts.hpp.
#pragma once

#include <algorithm>
#include <cstdint>

#include "ashlar/core/loops.hpp"
#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/ops/matmul/cpu.hpp"

namespace ashlar::inline v0::ops::cpu {

/// Calls body(e, begin, end) for every group with rows. Groups whose product takes few operations run beside each
/// other, one a thread; the others run one after another, with all threads inside the product.
template <class Body>
void for_each_group(TensorView<const std::int32_t, Cpu> offsets, index_t operations_per_row, Body body) {
  constexpr index_t few = 1 << 23;
  const std::int32_t* const begin = offsets.data();
  const index_t groups = offsets.count() - 1;
  const auto rows = [=](index_t e) { return index_t{begin[e + 1]} - begin[e]; };
  const auto small = [=](index_t e) { return rows(e) * operations_per_row < few; };
  ASHLAR_OMP(parallel for schedule(dynamic) if (groups > 1 && begin[groups] * operations_per_row > 1 << 20))
  for (index_t e = 0; e < groups; ++e)
    if (rows(e) > 0 && small(e)) body(e, index_t{begin[e]}, index_t{begin[e + 1]});
  for (index_t e = 0; e < groups; ++e)
    if (rows(e) > 0 && !small(e)) body(e, index_t{begin[e]}, index_t{begin[e + 1]});
}

/// Matrix e of w [E, N, K].
template <class T>
TensorView<T, Cpu> expert(TensorView<T, Cpu> w, index_t e) {
  return {w.row(e * w.dim(1)), Shape{w.dim(1), w.dim(2)}, w.row_stride()};
}

/// Sets the rows from `begin` on to zero.
template <class T>
void zero_rows(TensorView<T, Cpu> y, index_t begin) {
  for (index_t i = begin; i < y.rows(); ++i) std::fill_n(y.row(i), y.cols(), T(0.0f));
}

template <class T>
void grouped_gemm(TensorView<const T, Cpu> x, TensorView<const T, Cpu> w, TensorView<const std::int32_t, Cpu> offsets,
                  TensorView<T, Cpu> y) {
  const index_t n = y.cols(), k = x.cols();
  for_each_group(offsets, 2 * n * k, [&](index_t e, index_t begin, index_t end) {
    matmul<T, T>(x.rows(begin, end - begin), Transpose::no, expert(w, e), Transpose::yes, y.rows(begin, end - begin),
                 0);
  });
  zero_rows(y, offsets.data()[offsets.count() - 1]);
}

template <class T>
void grouped_gemm_input_gradient(TensorView<const T, Cpu> dy, TensorView<const T, Cpu> w,
                                 TensorView<const std::int32_t, Cpu> offsets, TensorView<T, Cpu> dx, bool accumulate) {
  const index_t n = dy.cols(), k = dx.cols();
  for_each_group(offsets, 2 * n * k, [&](index_t e, index_t begin, index_t end) {
    matmul<T, T>(dy.rows(begin, end - begin), Transpose::no, expert(w, e), Transpose::no, dx.rows(begin, end - begin),
                 accumulate ? 1 : 0);
  });
  if (!accumulate) zero_rows(dx, offsets.data()[offsets.count() - 1]);
}

template <class T>
void grouped_gemm_weight_gradient(TensorView<const T, Cpu> dy, TensorView<const T, Cpu> x,
                                  TensorView<const std::int32_t, Cpu> offsets, TensorView<Acc<T>, Cpu> dw,
                                  bool accumulate) {
  const index_t n = dy.cols(), k = x.cols();
  if (!accumulate)
    for (index_t e = 0; e + 1 < offsets.count(); ++e)
      if (offsets.data()[e] == offsets.data()[e + 1]) zero_rows(expert(dw, e), 0);
  for_each_group(offsets, 2 * n * k, [&](index_t e, index_t begin, index_t end) {
    matmul<T, Acc<T>>(dy.rows(begin, end - begin), Transpose::yes, x.rows(begin, end - begin), Transpose::no,
                      expert(dw, e), accumulate ? 1 : 0);
  });
}

}  // namespace ashlar::inline v0::ops::cpu
