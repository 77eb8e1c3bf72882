// Rotary position embedding on the host. Read next: nn/attention/grouped_query.hpp.
#pragma once

#include "ashlar/core/error.hpp"
#include "ashlar/core/loops.hpp"
#include "ashlar/ops/rope/shape.hpp"

namespace ashlar::inline v0::ops::cpu {

/// Turns the pairs of one head's columns v. The kind of pairs is known when this is compiled: neighbours vectorise as
/// neighbours.
template <Pairs Kind, class T, class A>
void turn_pairs(T* v, index_t pairs, const A* angle, A sign) {
  constexpr index_t step = Kind == Pairs::interleaved ? 2 : 1;
  const index_t partner = Kind == Pairs::interleaved ? 1 : pairs;
  ASHLAR_SIMD
  for (index_t i = 0; i < pairs; ++i) {
    const A cos = angle[2 * i], sin = sign * angle[2 * i + 1];
    const A even = A(v[step * i]), odd = A(v[step * i + partner]);
    v[step * i] = T(even * cos - odd * sin);
    v[step * i + partner] = T(even * sin + odd * cos);
  }
}

template <class T>
void rope(TensorView<T, Cpu> x, const RopeShape& shape, const RopePositions<Cpu>& positions,
          TensorView<const Acc<T>, Cpu> table, bool backward) {
  using A = Acc<T>;
  const index_t rows = x.rows(), pairs = shape.width / 2;
  const A sign = backward ? A(-1) : A(1);
  for (index_t r = 0; positions.of_row && r < rows; ++r)
    if (const index_t position = positions[r]; position < 0 || position >= table.rows())
      fail(concat("rope: row ", r, " is at position ", position, ", and the table has ", table.rows(), " positions"));
  ASHLAR_OMP(parallel for if (worth_a_fork(x.count())))
  for (index_t r = 0; r < rows; ++r) {
    const A* const angle = table.row(positions[r]);
    for (index_t head = 0; head < shape.heads; ++head) {
      T* const v = x.row(r) + head * shape.head_dim + shape.begin;
      if (shape.pairs == Pairs::interleaved)
        turn_pairs<Pairs::interleaved>(v, pairs, angle, sign);
      else
        turn_pairs<Pairs::halves>(v, pairs, angle, sign);
    }
  }
}

}  // namespace ashlar::inline v0::ops::cpu
