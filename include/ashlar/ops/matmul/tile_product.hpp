// Small matrix products on tiles that lie in the cache: the arithmetic of matmul and attention on the host. Written
// with the vector types of g++ and clang, so that the sums stay in registers.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0::ops::cpu {

/// The bytes of a vector register.
#if defined(__AVX512F__)
inline constexpr int vector_bytes = 64;
#elif defined(__AVX__)
inline constexpr int vector_bytes = 32;
#else
inline constexpr int vector_bytes = 16;
#endif

/// Elements of A in a vector. Rows of tiles are padded with zeros to multiples of it.
template <class A>
inline constexpr index_t lanes = vector_bytes / sizeof(A);
/// Rows that one pass of tile_product makes at once; a tile's rows are padded to multiples of it.
inline constexpr int tile_rows = vector_bytes == 64 ? 8 : 4;
/// What a length is padded to that is rows of one product and columns of another.
template <class A>
inline constexpr index_t tile_padding = lanes<A> > tile_rows ? lanes<A> : tile_rows;

/// Working memory of one thread, aligned to cache lines, zero at first.
template <class A>
class Scratch {
 public:
  explicit Scratch(index_t count = 0) { at_least(count); }
  A* data() { return lines_.empty() ? nullptr : lines_.front().values; }
  /// Grows to `count` elements, whose values are then arbitrary.
  A* at_least(index_t count) {
    const auto lines = static_cast<std::size_t>(ceil_div(count, per_line));
    if (lines_.size() < lines) lines_ = std::vector<Line>(lines);
    return data();
  }
  operator A*() { return data(); }

 private:
  static constexpr index_t per_line = 64 / sizeof(A);
  struct alignas(64) Line {
    A values[per_line] = {};
  };
  std::vector<Line> lines_;
};

namespace detail {

template <class A>
struct Vector {
  using type [[gnu::vector_size(vector_bytes), gnu::aligned(alignof(A)), gnu::may_alias]] = A;
};

/// tile_rows rows of c and Width vectors of its columns.
template <int Width, class A, std::size_t... Row>
[[gnu::always_inline]] inline void tile_product_step(index_t k, const A* a, index_t a_row, index_t a_col, const A* b,
                                                     index_t ldb, A* c, index_t ldc, bool accumulate,
                                                     std::index_sequence<Row...>) {
  using V = typename Vector<A>::type;
  V sum[sizeof...(Row)][Width] = {};
  for (index_t i = 0; i < k; ++i) {
    const V* const from = reinterpret_cast<const V*>(b + i * ldb);
    V value[Width];
    for (int w = 0; w < Width; ++w) value[w] = from[w];
    const A* const factor = a + i * a_col;
    const auto row = [&](std::size_t r) {
      const A f = factor[static_cast<index_t>(r) * a_row];
      for (int w = 0; w < Width; ++w) sum[r][w] += f * value[w];
    };
    (row(Row), ...);
  }
  const auto store = [&](std::size_t r) {
    V* const to = reinterpret_cast<V*>(c + static_cast<index_t>(r) * ldc);
    for (int w = 0; w < Width; ++w) to[w] = accumulate ? to[w] + sum[r][w] : sum[r][w];
  };
  (store(Row), ...);
}

}  // namespace detail

/// c [m, n] = a b, or c += a b: a [m, k] with element (i, j) at a[i * a_row + j * a_col], so that a may be read
/// transposed; b [k, n] and c row-major. m is a multiple of tile_rows and n of lanes<A>.
template <class A>
void tile_product(index_t m, index_t n, index_t k, const A* a, index_t a_row, index_t a_col, const A* b, index_t ldb,
                  A* c, index_t ldc, bool accumulate) {
  constexpr std::make_index_sequence<tile_rows> rows{};
  index_t j = 0;
  for (; j + 2 * lanes<A> <= n; j += 2 * lanes<A>)
    for (index_t i = 0; i < m; i += tile_rows)
      detail::tile_product_step<2>(k, a + i * a_row, a_row, a_col, b + j, ldb, c + i * ldc + j, ldc, accumulate, rows);
  if (j < n)
    for (index_t i = 0; i < m; i += tile_rows)
      detail::tile_product_step<1>(k, a + i * a_row, a_row, a_col, b + j, ldb, c + i * ldc + j, ldc, accumulate, rows);
}

}  // namespace ashlar::inline v0::ops::cpu
