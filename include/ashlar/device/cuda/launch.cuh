// How a kernel struct (device/cuda/simt.cuh) becomes work on a queue. Under nvcc: one __global__ template over the
// struct. Under the emulator: every thread of every block runs as a fiber. Read next: ops/rms_norm/cuda.cuh.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "ashlar/core/error.hpp"
#include "ashlar/device/cuda/cuda.hpp"
#include "ashlar/device/cuda/simt.cuh"

namespace ashlar::inline v0 {

/// Blocks in each dimension of a launch. A grid with a zero dimension launches nothing.
struct Grid {
  index_t x = 1, y = 1, z = 1;
};

#if ASHLAR_CUDA_EMULATED

template <class Kernel>
void launch(Cuda::Queue& queue, Grid grid, const typename Kernel::Params& params) {
  static_assert(std::is_trivially_copyable_v<typename Kernel::Params>, "Kernel::Params must be trivially copyable");
  if (grid.x * grid.y * grid.z > 0) simt::run<Kernel>(queue, grid.x, grid.y, grid.z, params);
}

#elif defined(__CUDACC__)

namespace detail {
/// Kernel::min_blocks, or 0: the compiler weighs registers against blocks by itself, and may spill a few.
template <class Kernel>
constexpr int min_blocks() {
  if constexpr (requires { Kernel::min_blocks; })
    return Kernel::min_blocks;
  else
    return 0;
}
/// Whether the compiler now compiles for an architecture that has the kernel's instructions.
template <class Kernel>
constexpr bool compiles_here() {
#if !defined(__CUDA_ARCH_FEAT_SM90_ALL)
  if constexpr (requires { Kernel::arch; }) return Kernel::arch < 90;
#endif
  return true;
}
/// More shared memory than a block has statically comes with the launch, aligned to what swizzles need.
template <class Kernel>
constexpr bool shared_is_dynamic() {
  return sizeof(typename Kernel::Shared) > std::size_t{48} << 10;
}

extern __shared__ __align__(1024) unsigned char dynamic_shared[];

template <class Kernel>
__device__ __forceinline__ typename Kernel::Shared& block_shared() {
  if constexpr (shared_is_dynamic<Kernel>()) {
    return *reinterpret_cast<typename Kernel::Shared*>(dynamic_shared);
  } else {
    __shared__ typename Kernel::Shared shared;
    return shared;
  }
}

template <class Kernel>
__global__ void __launch_bounds__(Kernel::threads, min_blocks<Kernel>())
    simt_kernel(const __grid_constant__ typename Kernel::Params params) {
  if constexpr (compiles_here<Kernel>()) {
    Simt<typename Kernel::Shared> thread(block_shared<Kernel>());
    Kernel::run(params, thread);
  } else {
    __trap();  // launched on a GPU that it was not written for
  }
}

/// Lets the kernel have its shared memory, once a GPU.
template <class Kernel>
void allow_dynamic_shared() {
  static std::atomic<std::uint64_t> allowed = 0;  // a bit a GPU
  int gpu = 0;
  cudaGetDevice(&gpu);
  const std::uint64_t bit = std::uint64_t{1} << (gpu % 64);
  if (allowed.load(std::memory_order_relaxed) & bit) return;
  constexpr auto bytes = static_cast<int>(sizeof(typename Kernel::Shared));
  if (const cudaError_t error =
          cudaFuncSetAttribute(simt_kernel<Kernel>, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
      error != cudaSuccess)
    fail(concat("CUDA refused a block ", bytes,
                " bytes of shared memory: ", std::string_view(cudaGetErrorString(error))));
  allowed.fetch_or(bit, std::memory_order_relaxed);
}
}  // namespace detail

/// Puts one launch of Kernel on the queue: grid blocks of Kernel::threads threads. Throws Error if CUDA refuses it.
template <class Kernel>
void launch(Cuda::Queue& queue, Grid grid, const typename Kernel::Params& params) {
  static_assert(std::is_trivially_copyable_v<typename Kernel::Params>, "Kernel::Params must be trivially copyable");
  static_assert(Kernel::threads % warp_size == 0, "Kernel::threads must be a multiple of 32");
  static_assert(sizeof(typename Kernel::Shared) <= 232448, "a block has 227 KiB of shared memory");
  if (grid.x * grid.y * grid.z == 0) return;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y), static_cast<unsigned>(grid.z));
  config.blockDim = dim3(static_cast<unsigned>(Kernel::threads));
  config.stream = static_cast<cudaStream_t>(queue.stream());
  if constexpr (detail::shared_is_dynamic<Kernel>()) {
    detail::allow_dynamic_shared<Kernel>();
    config.dynamicSmemBytes = sizeof(typename Kernel::Shared);
  }
  cudaLaunchAttribute attributes[2];
  config.attrs = attributes;
  if constexpr (detail::cluster_blocks<Kernel>() > 1) {
    cudaLaunchAttribute& attribute = attributes[config.numAttrs++];
    attribute.id = cudaLaunchAttributeClusterDimension;
    attribute.val.clusterDim = {detail::cluster_blocks<Kernel>(), 1, 1};
  }
  if constexpr (detail::is_programmatic<Kernel>()) {
    cudaLaunchAttribute& attribute = attributes[config.numAttrs++];
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
  }
  if (const cudaError_t error = cudaLaunchKernelEx(&config, detail::simt_kernel<Kernel>, params); error != cudaSuccess)
    fail(concat("CUDA refused a launch of ", grid.x, " x ", grid.y, " x ", grid.z,
                " blocks: ", std::string_view(cudaGetErrorString(error))));
}

#endif

}  // namespace ashlar::inline v0
