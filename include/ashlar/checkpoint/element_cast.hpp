// Between the element types of a file and those of memory. Bytes in, bytes out: files align nothing.
#pragma once

#include <cstring>

#include "ashlar/core/dtype.hpp"
#include "ashlar/core/error.hpp"
#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0 {

namespace detail {

template <class From, class To>
void cast_bytes(const std::byte* from, std::byte* to, index_t n) {
  for (index_t i = 0; i < n; ++i) {
    From in;
    std::memcpy(&in, from + i * static_cast<index_t>(sizeof in), sizeof in);
    To out;
    if constexpr (std::is_same_v<To, bf16>)
      out = bf16(static_cast<float>(in));
    else
      out = static_cast<To>(in);
    std::memcpy(to + i * static_cast<index_t>(sizeof out), &out, sizeof out);
  }
}

template <class From>
void cast_bytes_to(DType to_type, const std::byte* from, std::byte* to, index_t n) {
  if (to_type == DType::f32) return cast_bytes<From, float>(from, to, n);
  if (to_type == DType::f64) return cast_bytes<From, double>(from, to, n);
  return cast_bytes<From, bf16>(from, to, n);
}

}  // namespace detail

/// Whether cast_elements can: F32, F64 and BF16 among themselves, any other type to itself.
constexpr bool can_cast(DType from, DType to) {
  const auto is_float = [](DType t) { return t == DType::f32 || t == DType::f64 || t == DType::bf16; };
  return from == to || (is_float(from) && is_float(to));
}

/// Writes n elements of type `from_type` at `from` as `to_type` to `to`; the two do not overlap. Rounds to nearest even
/// (F64 to BF16 by way of F32); equal types keep every bit. Throws Error where can_cast says no.
inline void cast_elements(DType from_type, const std::byte* from, DType to_type, std::byte* to, index_t n) {
  check(can_cast(from_type, to_type), "elements are cast between F32, F64 and BF16 only");
  if (from_type == to_type) {
    if (n > 0) std::memcpy(to, from, static_cast<std::size_t>(n) * size_of(from_type));
  } else if (from_type == DType::f32) {
    detail::cast_bytes_to<float>(to_type, from, to, n);
  } else if (from_type == DType::f64) {
    detail::cast_bytes_to<double>(to_type, from, to, n);
  } else {
    detail::cast_bytes_to<bf16>(to_type, from, to, n);
  }
}

}  // namespace ashlar::inline v0
