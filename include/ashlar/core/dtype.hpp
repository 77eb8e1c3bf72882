// Element types: float, double, bf16, int32; their names in files; the type that sums of them are kept in.
// Read next: core/shape.hpp.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "ashlar/core/platform.hpp"

namespace ashlar::inline v0 {

/// bfloat16: the upper half of an IEEE single. Conversion from float rounds to nearest even and keeps NaN.
struct bf16 {
  std::uint16_t bits;

  bf16() = default;
  ASHLAR_HOST_DEVICE bf16(float value) {
    const auto u = __builtin_bit_cast(std::uint32_t, value);
    const bool nan = (u & 0x7fffffffu) > 0x7f800000u;
    bits = static_cast<std::uint16_t>(nan ? (u >> 16) | 0x40u : (u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
  }
  ASHLAR_HOST_DEVICE operator float() const { return __builtin_bit_cast(float, std::uint32_t{bits} << 16); }
};
static_assert(sizeof(bf16) == 2 && std::is_trivially_copyable_v<bf16>);

/// The compute type of a plan, on Meta alone: a float of as many bytes as a number there says (device/meta.hpp). An
/// element without a value is a width and nothing else, so one set of modules plans for every compute type.
struct MetaFloat {};

/// The element types that tensors have. The values are part of the checkpoint format.
enum class DType : std::uint8_t { f32, f64, bf16, i32, u8, i64 };

constexpr std::size_t size_of(DType type) {
  switch (type) {
    case DType::f32:
    case DType::i32: return 4;
    case DType::f64:
    case DType::i64: return 8;
    case DType::bf16: return 2;
    case DType::u8: return 1;
  }
  return 0;
}

/// The name as safetensors spells it.
constexpr std::string_view to_string(DType type) {
  switch (type) {
    case DType::f32: return "F32";
    case DType::f64: return "F64";
    case DType::bf16: return "BF16";
    case DType::i32: return "I32";
    case DType::u8: return "U8";
    case DType::i64: return "I64";
  }
  return "?";
}

namespace detail {
template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> : std::integral_constant<DType, DType::f32> {};
template <>
struct DTypeOf<double> : std::integral_constant<DType, DType::f64> {};
template <>
struct DTypeOf<bf16> : std::integral_constant<DType, DType::bf16> {};
template <>
struct DTypeOf<std::int32_t> : std::integral_constant<DType, DType::i32> {};
template <>
struct DTypeOf<std::uint8_t> : std::integral_constant<DType, DType::u8> {};
template <>
struct DTypeOf<std::int64_t> : std::integral_constant<DType, DType::i64> {};
}  // namespace detail

template <class T>
inline constexpr DType dtype_of = detail::DTypeOf<std::remove_const_t<T>>::value;

/// What sums over T are kept in, and what statistics, master weights and gradients of a T model are stored in:
/// float for float and bf16, double for double.
template <class T>
using Acc = std::conditional_t<std::is_same_v<std::remove_const_t<T>, double>, double, float>;

}  // namespace ashlar::inline v0
