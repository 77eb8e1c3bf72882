// Element-wise reduction of the ranks' buffers in rank order: the same bits on every backend and every rank. Read next:
// comm/local.hpp.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "ashlar/comm/backend.hpp"
#include "ashlar/core/platform.hpp"

namespace ashlar::inline v0::detail {

/// Calls f with a value of the element type that `type` names.
template <class F>
decltype(auto) with_dtype(DType type, F&& f) {
  switch (type) {
    case DType::f32: return f(float{});
    case DType::f64: return f(double{});
    case DType::bf16: return f(bf16(0.0f));
    case DType::i32: return f(std::int32_t{});
    case DType::u8: return f(std::uint8_t{});
    case DType::i64: return f(std::int64_t{});
  }
  fail(concat("no element type has the number ", static_cast<int>(type)));
}

/// What a reduction over T adds up in: float for bf16 (which is then rounded once), unsigned for integers (which wrap
/// around, whatever their sign).
template <class T>
struct ReduceAcc {
  using type = std::conditional_t<std::is_same_v<T, bf16>, float, T>;
};
template <class T>
requires std::is_integral_v<T>
struct ReduceAcc<T> {
  using type = std::make_unsigned_t<T>;
};

/// The larger of two; NaN if either is one, so that a rank's NaN is not lost.
template <class T>
T reduce_max(T a, T b) {
  if constexpr (!std::is_integral_v<T>)
    if (b != b) return b;
  return b > a ? b : a;
}

/// target [count] = sources[0] + sources[1] + ... (or their maximum), each [count], added in that order.
/// A source may be the target.
template <class T>
void reduce_in_order(std::span<const T* const> sources, T* target, index_t count, Reduce op) {
  constexpr index_t block = 512;  // sums of one block stay in the first-level cache while the sources pass by
  using A = typename ReduceAcc<T>::type;
  using M = std::conditional_t<std::is_same_v<T, bf16>, float, T>;
  for (index_t begin = 0; begin < count; begin += block) {
    const index_t n = std::min(block, count - begin);
    if (op == Reduce::sum) {
      A sum[block];
      for (index_t i = 0; i < n; ++i) sum[i] = static_cast<A>(sources[0][begin + i]);
      for (const T* source : sources.subspan(1))
        for (index_t i = 0; i < n; ++i) sum[i] = static_cast<A>(sum[i] + static_cast<A>(source[begin + i]));
      for (index_t i = 0; i < n; ++i) target[begin + i] = static_cast<T>(sum[i]);
    } else {
      M most[block];
      for (index_t i = 0; i < n; ++i) most[i] = static_cast<M>(sources[0][begin + i]);
      for (const T* source : sources.subspan(1))
        for (index_t i = 0; i < n; ++i) most[i] = reduce_max(most[i], static_cast<M>(source[begin + i]));
      for (index_t i = 0; i < n; ++i) target[begin + i] = static_cast<T>(most[i]);
    }
  }
}

/// The same on untyped buffers.
void reduce_in_order(std::span<const void* const> sources, void* target, index_t count, DType type, Reduce op);

/// The address of the element `elements` after p.
inline const std::byte* advance(const void* p, index_t elements, DType type) {
  return static_cast<const std::byte*>(p) + elements * static_cast<index_t>(size_of(type));
}
inline std::byte* advance(void* p, index_t elements, DType type) {
  return static_cast<std::byte*>(p) + elements * static_cast<index_t>(size_of(type));
}

/// Copies elements, unless the two are the same place or there are none.
inline void copy_elements(void* target, const void* source, index_t count, DType type) {
  if (target != source && count > 0) std::memcpy(target, source, static_cast<std::size_t>(count) * size_of(type));
}

}  // namespace ashlar::inline v0::detail

#if !ASHLAR_COMPILED
#include "ashlar/comm/reduce.ipp"
#endif
