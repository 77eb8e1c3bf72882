// One matrix product on the host as pointers and leading dimensions: what the implementations are handed.
// Read next: ops/matmul/cpu.hpp.
#pragma once

#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0::ops::cpu {

/// c [m, n] = op(a) op(b) + beta c, where op(a) is [m, k] and op(b) is [k, n]; row-major. lda, ldb and ldc count the
/// elements from one stored row to the next; a is stored [k, m] when transpose_a, b [n, k] when transpose_b.
/// m, n > 0; k may be 0. beta 0 doesn't read c.
template <class T, class C>
struct Product {
  index_t m, n, k;
  const T* a;
  index_t lda;
  bool transpose_a;
  const T* b;
  index_t ldb;
  bool transpose_b;
  C* c;
  index_t ldc;
  double beta;
};

}  // namespace ashlar::inline v0::ops::cpu
