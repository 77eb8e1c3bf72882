// Tensor maps as plain data, checked as the driver checks them. What device/cuda/tensor_map.hpp includes under the
// emulator. Read next: emulator/bulk_copy.hpp.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "ashlar/device/cuda/tensor_map.hpp"
#include "ashlar/emulator/fault.hpp"

namespace ashlar::inline v0 {

namespace ptx {
struct alignas(64) TensorMap {
  std::uint64_t data = 0;
  int rank = 0, element_bytes = 0;
  bool is_float = false;                      // else bf16
  std::array<std::uint64_t, 5> sizes = {};    // elements
  std::array<std::uint64_t, 5> strides = {};  // bytes
  std::array<int, 5> box = {};
  Swizzle swizzle = Swizzle::none;

  int box_bytes() const {
    int bytes = element_bytes;
    for (int i = 0; i < rank; ++i) bytes *= box[static_cast<std::size_t>(i)];
    return bytes;
  }
};
static_assert(std::is_trivially_copyable_v<TensorMap>);
}  // namespace ptx

template <class T, int Rank>
ptx::TensorMap tensor_map(const T* data, const TensorMapShape<Rank>& shape) {
  static_assert(std::is_same_v<T, bf16> || std::is_same_v<T, float>, "tensor maps are of bf16 or float");
  const auto refuse = [](const std::string& why) {
    throw simt::Fault(concat("cuTensorMapEncodeTiled refuses: ", why));
  };
  ptx::TensorMap map;
  map.data = reinterpret_cast<std::uintptr_t>(data);
  map.rank = Rank;
  map.element_bytes = sizeof(T);
  map.is_float = std::is_same_v<T, float>;
  map.swizzle = shape.swizzle;
  if (!data || map.data % 16 != 0) refuse("the address isn't aligned to 16 bytes, or null");
  for (std::size_t i = 0; i < Rank; ++i) {
    const index_t size = shape.sizes[i], stride = i == 0 ? 1 : shape.strides[i - 1];
    if (size < 1 || size > index_t{1} << 32) refuse(concat("dimension ", i, " has size ", size));
    if (stride < 0 || stride >= (index_t{1} << 40) / static_cast<index_t>(sizeof(T)) ||
        (i > 0 && stride * static_cast<index_t>(sizeof(T)) % 16 != 0))
      refuse(concat("the stride of dimension ", i, " is ", stride, " elements, which is no multiple of 16 bytes below ",
                    "2^40"));
    if (shape.box[i] < 1 || shape.box[i] > 256) refuse(concat("dimension ", i, " of the box is ", shape.box[i]));
    map.sizes[i] = static_cast<std::uint64_t>(size);
    map.strides[i] = static_cast<std::uint64_t>(stride) * sizeof(T);
    map.box[i] = shape.box[i];
  }
  const int row = map.box[0] * map.element_bytes;
  if (row % 16 != 0) refuse(concat("a row of the box has ", row, " bytes, no multiple of 16"));
  constexpr int most[] = {1 << 20, 32, 64, 128};
  const int span = most[static_cast<int>(shape.swizzle)];
  if (row > span) refuse(concat("a row of the box has ", row, " bytes, more than the swizzle's"));
  if (shape.swizzle != Swizzle::none && row < span)
    throw simt::Fault(concat("a row of the box has ", row,
                             " bytes, fewer than the swizzle's: the driver takes it, but ",
                             "the emulator doesn't know how such rows lie"));
  return map;
}

}  // namespace ashlar::inline v0
