// Matrix product of doubles by Eigen: the one file of the library that includes it. Finite differences and references
// run on it, so that the kernels of ops/matmul/blocked.hpp are checked against a library that shares nothing with them.
#pragma once

// g++ 12 takes the undefined registers of its own AVX-512 intrinsics, inlined here, for uninitialised variables.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <Eigen/Core>

#include "ashlar/ops/matmul/product.hpp"

namespace ashlar::inline v0::ops::cpu {

namespace detail {

template <class A, int Order>
using EigenMatrix = Eigen::Matrix<A, Eigen::Dynamic, Eigen::Dynamic, Order>;
template <class A, int Order>
using EigenView = Eigen::Map<const EigenMatrix<A, Order>, Eigen::Unaligned, Eigen::OuterStride<>>;

template <int OrderA, int OrderB, class A>
void eigen_add_product_as(const Product<A, A>& p) {
  Eigen::Map<EigenMatrix<A, Eigen::RowMajor>, Eigen::Unaligned, Eigen::OuterStride<>> c(p.c, p.m, p.n,
                                                                                        Eigen::OuterStride<>(p.ldc));
  const EigenView<A, OrderA> a(p.a, p.m, p.k, Eigen::OuterStride<>(p.lda));
  const EigenView<A, OrderB> b(p.b, p.k, p.n, Eigen::OuterStride<>(p.ldb));
  c.noalias() += a * b;
}

}  // namespace detail

/// p.c += op(p.a) op(p.b): beta is the caller's. A is float or double.
template <class A>
void eigen_add_product(const Product<A, A>& p) {
  constexpr int row = Eigen::RowMajor, column = Eigen::ColMajor;
  if (p.transpose_a && p.transpose_b)
    detail::eigen_add_product_as<column, column>(p);
  else if (p.transpose_a)
    detail::eigen_add_product_as<column, row>(p);
  else if (p.transpose_b)
    detail::eigen_add_product_as<row, column>(p);
  else
    detail::eigen_add_product_as<row, row>(p);
}

}  // namespace ashlar::inline v0::ops::cpu

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
