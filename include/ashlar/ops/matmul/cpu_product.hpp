// Which library multiplies what. What declares this includes it where the program compiles it itself. Read next:
// ops/matmul/blocked.hpp, ops/matmul/onednn.hpp.
#pragma once

#include <type_traits>

#include "ashlar/core/loops.hpp"
#include "ashlar/ops/matmul/blocked.hpp"
#include "ashlar/ops/matmul/cpu.hpp"
#include "ashlar/ops/matmul/eigen.hpp"

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

}  // namespace ashlar::inline v0::ops::cpu
