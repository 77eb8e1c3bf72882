// What loops of the Cpu operations share: when a fork pays, loops that call core/math.hpp, and sums whose order depends
// on nothing but their length.
// Read next: ops/rms_norm/cpu.hpp.
#pragma once

#include <algorithm>
#include <type_traits>

#include "ashlar/core/platform.hpp"
#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0 {

/// Whether a pass over so many elements takes longer than waking the threads (about 5 microseconds). Goes into the if
/// clause of `omp parallel for`.
constexpr bool worth_a_fork(index_t elements) {
  return elements >= 32768;
}

/// body(0) .. body(n - 1), independent of each other and calling fast_exp or fast_sqrt on A. For float they vectorise
/// and the loop says so; for double they are calls, and a compiler that is told to vectorise a call warns.
template <class A, class Body>
[[gnu::always_inline]] inline void math_loop(index_t n, Body body) {
  if constexpr (std::is_same_v<A, float>) {
    ASHLAR_SIMD
    for (index_t i = 0; i < n; ++i) body(i);
  } else {
    for (index_t i = 0; i < n; ++i) body(i);
  }
}

/// The sum of term(0) .. term(n - 1) in 16 interleaved partial sums: it vectorises without leave to reorder
/// additions, gives the same bits in every build, and its error grows 16 times more slowly than a plain loop's.
template <class A, class Term>
[[gnu::always_inline]] inline A lane_sum(index_t n, Term term) {
  constexpr int lanes = 16;
  A lane[lanes] = {};
  index_t i = 0;
  for (; i + lanes <= n; i += lanes)
    for (int j = 0; j < lanes; ++j) lane[j] += term(i + j);
  for (index_t j = 0; j < std::min<index_t>(lanes, n - i); ++j) lane[j] += term(i + j);
  for (int width = lanes / 2; width > 0; width /= 2)
    for (int j = 0; j < width; ++j) lane[j] += lane[j + width];
  return lane[0];
}

/// The same for long sums: lane_sum over at most 256 ranges in parallel, added in order. The ranges depend on n alone,
/// so the bits don't depend on how many threads there are.
template <class A, class Term>
A chunked_sum(index_t n, Term term) {
  constexpr index_t max_chunks = 256;
  A partial[max_chunks];
  const index_t chunk = std::max<index_t>(round_up(ceil_div(n, max_chunks), 64), 4096);
  const index_t chunks = ceil_div(n, chunk);
  ASHLAR_OMP(parallel for if (worth_a_fork(n)))
  for (index_t c = 0; c < chunks; ++c) {
    const index_t begin = c * chunk;
    partial[c] = lane_sum<A>(std::min(chunk, n - begin), [&](index_t i) { return term(begin + i); });
  }
  A total = 0;
  for (index_t c = 0; c < chunks; ++c) total += partial[c];
  return total;
}

}  // namespace ashlar::inline v0
