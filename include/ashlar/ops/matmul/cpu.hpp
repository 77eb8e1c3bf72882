// Matrix product on the host: float and bf16 by oneDNN where the build found it and it has them, else by the library's
// own blocks; double by Eigen. Read next: ops/matmul/cpu_product.hpp.
#pragma once

#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/ops/matmul/product.hpp"
#include "ashlar/ops/matmul/transpose.hpp"

namespace ashlar::inline v0::ops::cpu {

/// The product that p describes, by whatever does T best here.
template <class T, class C>
void product(const Product<T, C>& p);

template <class T, class C>
void matmul(TensorView<const T, Cpu> a, Transpose ta, TensorView<const T, Cpu> b, Transpose tb, TensorView<C, Cpu> c,
            double beta) {
  const bool transpose_a = ta == Transpose::yes, transpose_b = tb == Transpose::yes;
  const index_t k = transpose_a ? a.rows() : a.cols();
  product<T, C>({c.rows(), c.cols(), k, a.data(), a.row_stride(), transpose_a, b.data(), b.row_stride(), transpose_b,
                 c.data(), c.row_stride(), beta});
}

}  // namespace ashlar::inline v0::ops::cpu

#if ASHLAR_COMPILED != 1
#include "ashlar/ops/matmul/cpu_product.hpp"
#endif
