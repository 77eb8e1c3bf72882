// The balance loss on the host. Contract: ops/balance_loss/balance_loss.hpp.
#pragma once

#include <cstdint>

#include "ashlar/core/loops.hpp"
#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/ops/balance_loss/options.hpp"

namespace ashlar::inline v0::ops::cpu {

inline void count_choices(TensorView<const std::int32_t, Cpu> experts, index_t first_row, index_t group_rows,
                          TensorView<std::int32_t, Cpu> counts) {
  for (index_t r = 0; r < experts.rows(); ++r)
    for (index_t j = 0; j < experts.cols(); ++j) ++counts.row((first_row + r) / group_rows)[experts.row(r)[j]];
}

template <class A>
void balance_loss_backward(TensorView<const A, Cpu> probabilities, TensorView<const std::int32_t, Cpu> counts,
                           const BalanceLoss& loss, TensorView<A, Cpu> dlogits) {
  const index_t rows = dlogits.rows(), n = dlogits.cols();
  const A factor = A(loss.factor);
  ASHLAR_OMP(parallel for if (worth_a_fork(rows * n)))
  for (index_t r = 0; r < rows; ++r) {
    const A* const p = probabilities.row(r);
    const std::int32_t* const count = counts.row((loss.first_row + r) / loss.group_rows);
    A* const dz = dlogits.row(r);
    // g = factor count is the gradient of q = p / sum; that of p is (g - sum of g q) / sum, and a softmax's sum is 1.
    const A sum = loss.softmax ? A(1) : lane_sum<A>(n, [=](index_t e) { return p[e]; }) + A(1e-20);
    const A mean = lane_sum<A>(n, [=](index_t e) { return A(count[e]) * p[e]; }) / sum;
    const bool softmax = loss.softmax;
    ASHLAR_SIMD
    for (index_t e = 0; e < n; ++e)
      dz[e] += factor * (A(count[e]) - mean) / sum * p[e] * (softmax ? A(1) : A(1) - p[e]);
  }
}

}  // namespace ashlar::inline v0::ops::cpu
