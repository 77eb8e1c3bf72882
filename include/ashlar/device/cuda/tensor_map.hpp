// How the copy engine knows an array: a map of 128 bytes, made on the host, a member of Kernel::Params. The driver
// makes it; its function is looked up at run time, so that nothing links against the driver. Under the emulator it is
// plain data. Read next: device/cuda/ptx/bulk_copy.cuh.
#pragma once

#include <array>
#include <cstdint>

#include "ashlar/core/dtype.hpp"
#include "ashlar/core/error.hpp"
#include "ashlar/core/shape.hpp"
#include "ashlar/device/cuda/swizzle.hpp"

namespace ashlar::inline v0 {

/// What a map says of an array of Rank dimensions, innermost first. Sizes and strides in elements.
template <int Rank>
struct TensorMapShape {
  static_assert(Rank >= 2 && Rank <= 5);
  std::array<index_t, Rank> sizes;        // of the array: 1 to 2^32; beyond them loads give zero and stores are dropped
  std::array<index_t, Rank - 1> strides;  // of dimensions 1 on: multiples of 16 bytes below 2^40 bytes
  std::array<int, Rank> box;              // of one copy: 1 to 256 each, the innermost a multiple of 16 bytes
  Swizzle swizzle = Swizzle::b128;        // the innermost box is at most as many bytes
};

}  // namespace ashlar::inline v0

#if ASHLAR_CUDA_EMULATED
#include "ashlar/emulator/tensor_map.hpp"
#elif defined(__CUDACC__)
#include <cuda.h>
#include <cuda_runtime_api.h>

namespace ashlar::inline v0 {

namespace ptx {
/// Opaque. Not to be copied to other memory by a kernel.
struct TensorMap {
  CUtensorMap map;
};
}  // namespace ptx

namespace detail {

template <class T>
constexpr CUtensorMapDataType tensor_map_type() {
  static_assert(std::is_same_v<T, bf16> || std::is_same_v<T, float>, "tensor maps are of bf16 or float");
  return std::is_same_v<T, bf16> ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_FLOAT32;
}

/// The driver's function; looked up once.
inline auto tensor_map_encoder() {
  static const auto encoder = [] {
    void* function = nullptr;
    cudaDriverEntryPointQueryResult found{};
    const cudaError_t status =
        cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &found);
    if (status != cudaSuccess || found != cudaDriverEntryPointSuccess)
      fail("the driver has no cuTensorMapEncodeTiled: install a driver of CUDA 12 or later");
    return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function);
  }();
  return encoder;
}

}  // namespace detail

/// The map of the array at `data`, aligned to 16 bytes, in device memory. Throws Error where the driver refuses it.
template <class T, int Rank>
ptx::TensorMap tensor_map(const T* data, const TensorMapShape<Rank>& shape) {
  cuuint64_t sizes[Rank], strides[Rank];
  cuuint32_t box[Rank], steps[Rank];
  for (int i = 0; i < Rank; ++i) {
    sizes[i] = static_cast<cuuint64_t>(shape.sizes[static_cast<std::size_t>(i)]);
    box[i] = static_cast<cuuint32_t>(shape.box[static_cast<std::size_t>(i)]);
    steps[i] = 1;
    if (i + 1 < Rank) strides[i] = static_cast<cuuint64_t>(shape.strides[static_cast<std::size_t>(i)]) * sizeof(T);
  }
  constexpr CUtensorMapSwizzle swizzles[] = {CU_TENSOR_MAP_SWIZZLE_NONE, CU_TENSOR_MAP_SWIZZLE_32B,
                                             CU_TENSOR_MAP_SWIZZLE_64B, CU_TENSOR_MAP_SWIZZLE_128B};
  ptx::TensorMap result;
  const CUresult status = detail::tensor_map_encoder()(
      &result.map, detail::tensor_map_type<T>(), Rank, const_cast<T*>(data), sizes, strides, box, steps,
      CU_TENSOR_MAP_INTERLEAVE_NONE, swizzles[static_cast<int>(shape.swizzle)], CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
      CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (status != CUDA_SUCCESS) {
    std::string text = concat("cuTensorMapEncodeTiled refused (CUresult ", static_cast<int>(status), ") an array at ",
                              reinterpret_cast<std::uintptr_t>(data), " of");
    for (int i = 0; i < Rank; ++i) text += concat(i ? " x " : " ", sizes[i], " (box ", box[i], ")");
    for (int i = 0; i + 1 < Rank; ++i) text += concat(i ? ", " : " elements, strides ", strides[i]);
    fail(text + " bytes: addresses and strides must be multiples of 16 bytes, boxes at most 256 and the swizzle's row");
  }
  return result;
}

}  // namespace ashlar::inline v0

#endif
