// Newton-Schulz: all singular values of a matrix towards 1, by matrix products alone (Jordan et al. 2024). Read next:
// ops/muon/muon.hpp.
#pragma once

#include "ashlar/ops/matmul/matmul.hpp"
#include "ashlar/ops/muon/muon.hpp"

namespace ashlar::inline v0::ops {

/// Of the quintic a x + b x^3 + c x^5, which takes what is between 0 and 1 towards 1, steeply at 0: five times it makes
/// 0.68 to 1.13 of it, not 1 (Jordan et al. 2024).
inline constexpr double newton_schulz_coefficients[] = {3.4445, -4.7750, 2.0315};

/// How many elements newton_schulz needs beside a matrix [R, C]: of Acc<T>, and twice as many of T as `gram`.
struct NewtonSchulzWorkspace {
  index_t product, gram;
};
constexpr NewtonSchulzWorkspace newton_schulz_workspace(index_t rows, index_t cols) {
  const index_t least = rows < cols ? rows : cols;
  return {rows * cols, least * least};
}

/// x [R, C], of singular values at most 1, becomes p(p(...p(x))) with p(x) = a x + b (x x^T) x + c (x x^T)^2 x, `steps`
/// times; where R > C, with the smaller x^T x from the right, which is the same. Sums in Acc<T>, rounded to T after
/// each product and each sum of two. All contiguous; product [R C], gram and polynomial [min(R, C)^2] are overwritten.
template <class T, class D>
void newton_schulz(typename D::Queue& queue, TensorView<T, D> x, int steps,
                   std::type_identity_t<TensorView<Acc<T>, D>> product,
                   std::type_identity_t<TensorView<T, D>> gram_memory,
                   std::type_identity_t<TensorView<T, D>> polynomial_memory) {
  const auto [a, b, c] = newton_schulz_coefficients;
  const index_t rows = x.rows(), cols = x.cols(), least = std::min(rows, cols);
  const bool tall = rows > cols;
  const TensorView<T, D> gram = gram_memory.range(0, least * least).reshaped({least, least});
  const TensorView<T, D> polynomial = polynomial_memory.range(0, least * least).reshaped({least, least});
  const TensorView<Acc<T>, D> square = product.range(0, least * least).reshaped({least, least});
  const TensorView<Acc<T>, D> next = product.range(0, rows * cols).reshaped({rows, cols});
  constexpr Transpose no = Transpose::no, yes = Transpose::yes;
  for (int i = 0; i < steps; ++i) {
    matmul<T>(queue, x, tall ? yes : no, x, tall ? no : yes, gram);
    matmul<T>(queue, gram, no, gram, no, square);
    combine<T, D>(queue, b, gram, c, square, polynomial);
    if (tall)
      matmul<T>(queue, x, no, polynomial, no, next);
    else
      matmul<T>(queue, polynomial, no, x, no, next);
    combine<T, D>(queue, a, x, 1, next, x);
  }
}

}  // namespace ashlar::inline v0::ops
