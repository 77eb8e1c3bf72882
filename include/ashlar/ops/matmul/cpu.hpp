// Matrix product on the host: float and bf16 by oneDNN where the build found it and it has them, else by the library's
// own blocks; double by Eigen. Read next: ops/matmul/blocked.hpp, ops/matmul/onednn.hpp.
#pragma once

#include <type_traits>

#include "ashlar/core/parallel.hpp"
#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/ops/matmul/blocked.hpp"
#include "ashlar/ops/matmul/eigen.hpp"
#include "ashlar/ops/matmul/product.hpp"
#include "ashlar/ops/matmul/transpose.hpp"

#if ASHLAR_WITH_ONEDNN
#include "ashlar/ops/matmul/onednn.hpp"
#endif

namespace ashlar::inline v0::ops::cpu {

/// p.c *= p.beta, where beta 0 clears what c holds, NaN included.
template <class T, class C>
void scale_result(const Product<T, C>& p) {
  if (p.beta == 1) return;
  ASHLAR_OMP(parallel for if (worth_a_fork(p.m * p.n)))
  for (index_t i = 0; i < p.m; ++i) {
    C* const row = p.c + i * p.ldc;
    for (index_t j = 0; j < p.n; ++j) row[j] = p.beta == 0 ? C(0) : C(static_cast<Acc<C>>(p.beta) * row[j]);
  }
}

template <class T, class C>
void product(const Product<T, C>& p) {
  if (p.m == 0 || p.n == 0) return;
  if (p.k == 0) {
    scale_result(p);
    return;
  }
#if ASHLAR_WITH_ONEDNN
  if constexpr (!std::is_same_v<T, double>)
    if (std::is_same_v<T, float> || detail::onednn_multiplies_bf16()) {
      onednn_product(p);
      return;
    }
#endif
  if constexpr (std::is_same_v<T, double>) {
    scale_result(p);
    eigen_add_product(p);
  } else {
    blocked_product(p);
  }
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
