// Matrix product, the one dense operation: oneDNN, Eigen or the library's own blocks on Cpu, cuBLASLt on Cuda. Read
// next: ops/matmul/cpu.hpp.
#pragma once

#include <type_traits>

#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/device/cuda/cuda.hpp"
#include "ashlar/device/meta.hpp"
#include "ashlar/ops/matmul/cpu.hpp"

namespace ashlar::inline v0::ops {

namespace cuda {
template <class T, class C>
void matmul(Cuda::Queue&, TensorView<const T, Cuda> a, Transpose ta, TensorView<const T, Cuda> b, Transpose tb,
            TensorView<C, Cuda> c, double beta);
}

/// c [M, N] = op(a) op(b) + beta c, where op(a) is [M, K] and op(b) is [K, N]; all row-major with row strides.
/// T is float, double or bf16; C is T, or float for bf16 (gradients and logits). Sums are kept in float (double for
/// double); on Cuda a bf16 c may be rounded twice, where a long sum is cut in two. beta 0 ignores what c holds, NaN
/// included; K = 0 gives beta c. c may not overlap a or b. Throws Error when the shapes don't match.
template <class T, class C, class D>
void matmul(typename D::Queue& queue, In<T, D> a, Transpose ta, In<T, D> b, Transpose tb, TensorView<C, D> c,
            double beta = 0) {
  static_assert(std::is_same_v<C, T> || std::is_same_v<C, Acc<T>>,
                "matmul: C must be T or the type T's sums are kept in");
  const index_t m = c.rows(), n = c.cols(), k = ta == Transpose::yes ? a.rows() : a.cols();
  if ((ta == Transpose::yes ? a.cols() : a.rows()) != m || (tb == Transpose::yes ? b.rows() : b.cols()) != n ||
      (tb == Transpose::yes ? b.cols() : b.rows()) != k)
    fail(concat("matmul: shapes don't match: a ", to_string(a.shape()), ta == Transpose::yes ? " transposed" : "",
                ", b ", to_string(b.shape()), tb == Transpose::yes ? " transposed" : "", ", c ", to_string(c.shape())));
  if (m == 0 || n == 0) return;
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(2.0 * m * n * k, a, b, c, beta != 0 ? c : TensorView<C, D>());
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::matmul<T, C>(a, ta, b, tb, c, beta);
  else
    cuda::matmul<T, C>(queue, a, ta, b, tb, c, beta);
}

}  // namespace ashlar::inline v0::ops
