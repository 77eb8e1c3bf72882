// Matrix product by Eigen: the one file of the library that includes it. Shapes stay dynamic, so that each dtype costs
// one set of kernels. Used by ops/matmul/cpu.hpp.
#pragma once

#include <Eigen/Core>

#include "ashlar/core/parallel.hpp"
#include "ashlar/ops/matmul/product.hpp"

namespace ashlar::inline v0::ops::cpu {

namespace detail {

template <class A, int Order>
using EigenMatrix = Eigen::Matrix<A, Eigen::Dynamic, Eigen::Dynamic, Order>;
template <class A, int Order>
using EigenView = Eigen::Map<const EigenMatrix<A, Order>, Eigen::Unaligned, Eigen::OuterStride<>>;

template <int OrderA, int OrderB, class A>
void eigen_add_product(const Product<A, A>& p) {
  Eigen::Map<EigenMatrix<A, Eigen::RowMajor>, Eigen::Unaligned, Eigen::OuterStride<>> c(p.c, p.m, p.n,
                                                                                        Eigen::OuterStride<>(p.ldc));
  const EigenView<A, OrderA> a(p.a, p.m, p.k, Eigen::OuterStride<>(p.lda));
  const EigenView<A, OrderB> b(p.b, p.k, p.n, Eigen::OuterStride<>(p.ldb));
  c.noalias() += a * b;
}

}  // namespace detail

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

/// The product for A = float or double.
template <class A>
void eigen_product(const Product<A, A>& p) {
  constexpr int row = Eigen::RowMajor, column = Eigen::ColMajor;
  scale_result(p);
  if (p.k == 0) return;
  if (p.transpose_a && p.transpose_b)
    detail::eigen_add_product<column, column>(p);
  else if (p.transpose_a)
    detail::eigen_add_product<column, row>(p);
  else if (p.transpose_b)
    detail::eigen_add_product<row, column>(p);
  else
    detail::eigen_add_product<row, row>(p);
}

}  // namespace ashlar::inline v0::ops::cpu
