// Matrix product on the host: oneDNN where the build found it, else Eigen; bf16 without oneDNN in blocks of floats.
// Read next: ops/matmul/eigen.hpp, ops/matmul/onednn.hpp.
#pragma once

#include <algorithm>
#include <type_traits>
#include <vector>

#include "ashlar/core/parallel.hpp"
#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/ops/matmul/eigen.hpp"
#include "ashlar/ops/matmul/product.hpp"
#include "ashlar/ops/matmul/transpose.hpp"

#if ASHLAR_WITH_ONEDNN
#include "ashlar/ops/matmul/onednn.hpp"
#endif

namespace ashlar::inline v0::ops::cpu {

/// The block [rows, cols] at `source`, as floats, packed.
inline void to_float(const bf16* source, index_t stride, index_t rows, index_t cols, float* target) {
  ASHLAR_OMP(parallel for if (worth_a_fork(rows * cols)))
  for (index_t i = 0; i < rows; ++i)
    for (index_t j = 0; j < cols; ++j) target[i * cols + j] = source[i * stride + j];
}

/// bf16 operands by float products: blocks of a and b are converted, sums stay in float until all of k is added.
template <class C>
void blocked_bf16_product(const Product<bf16, C>& p) {
  constexpr index_t block_m = 512, block_n = 1024, block_k = 1024;
  const index_t m_max = std::min(p.m, block_m), n_max = std::min(p.n, block_n), k_max = std::min(p.k, block_k);
  std::vector<float> a(static_cast<std::size_t>(m_max * k_max)), b(static_cast<std::size_t>(k_max * n_max)),
      c(static_cast<std::size_t>(m_max * n_max));
  const auto beta = static_cast<float>(p.beta);
  for (index_t n0 = 0; n0 < p.n; n0 += block_n)
    for (index_t m0 = 0; m0 < p.m; m0 += block_m) {
      const index_t n = std::min(block_n, p.n - n0), m = std::min(block_m, p.m - m0);
      for (index_t k0 = 0; k0 < p.k; k0 += block_k) {
        const index_t k = std::min(block_k, p.k - k0);
        if (p.transpose_a)
          to_float(p.a + k0 * p.lda + m0, p.lda, k, m, a.data());
        else
          to_float(p.a + m0 * p.lda + k0, p.lda, m, k, a.data());
        if (p.transpose_b)
          to_float(p.b + n0 * p.ldb + k0, p.ldb, n, k, b.data());
        else
          to_float(p.b + k0 * p.ldb + n0, p.ldb, k, n, b.data());
        eigen_product<float>({m, n, k, a.data(), p.transpose_a ? m : k, p.transpose_a, b.data(), p.transpose_b ? k : n,
                              p.transpose_b, c.data(), n, k0 == 0 ? 0.0 : 1.0});
      }
      ASHLAR_OMP(parallel for if (worth_a_fork(m * n)))
      for (index_t i = 0; i < m; ++i) {
        C* const out = p.c + (m0 + i) * p.ldc + n0;
        const float* const sum = c.data() + i * n;
        for (index_t j = 0; j < n; ++j) out[j] = C(beta == 0 ? sum[j] : sum[j] + beta * static_cast<float>(out[j]));
      }
    }
}

template <class T, class C>
void product(const Product<T, C>& p) {
  if (p.k == 0) {
    scale_result(p);
    return;
  }
#if ASHLAR_WITH_ONEDNN
  if constexpr (!std::is_same_v<T, double>) {
    onednn_product(p);
    return;
  }
#endif
  if constexpr (std::is_same_v<T, bf16>)
    blocked_bf16_product(p);
  else
    eigen_product(p);
}

template <class T, class C>
void matmul(TensorView<const T, Cpu> a, Transpose ta, TensorView<const T, Cpu> b, Transpose tb, TensorView<C, Cpu> c,
            double beta) {
  const bool transpose_a = ta == Transpose::yes, transpose_b = tb == Transpose::yes;
  const index_t k = transpose_a ? a.rows() : a.cols();
  product<T, C>({c.rows(), c.cols(), k, a.data(), a.row_stride(), transpose_a, b.data(), b.row_stride(), transpose_b,
                 c.data(), c.row_stride(), beta});
}

}  // namespace ashlar::inline v0::ops::cpu
