// How a kernel struct (device/cuda/simt.cuh) becomes work on a queue. Under nvcc: one __global__ template over the
// struct. Under the emulator: every thread of every block runs as a fiber. Read next: ops/rms_norm/cuda.cuh.
#pragma once

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

template <class Kernel>
__global__ void __launch_bounds__(Kernel::threads, min_blocks<Kernel>())
    simt_kernel(const __grid_constant__ typename Kernel::Params params) {
  __shared__ typename Kernel::Shared shared;
  Simt<typename Kernel::Shared> thread(shared);
  Kernel::run(params, thread);
}
}  // namespace detail

/// Puts one launch of Kernel on the queue: grid blocks of Kernel::threads threads. Throws Error if CUDA refuses it.
template <class Kernel>
void launch(Cuda::Queue& queue, Grid grid, const typename Kernel::Params& params) {
  static_assert(std::is_trivially_copyable_v<typename Kernel::Params>, "Kernel::Params must be trivially copyable");
  static_assert(Kernel::threads % warp_size == 0, "Kernel::threads must be a multiple of 32");
  if (grid.x * grid.y * grid.z == 0) return;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y), static_cast<unsigned>(grid.z));
  config.blockDim = dim3(static_cast<unsigned>(Kernel::threads));
  config.stream = static_cast<cudaStream_t>(queue.stream());
  if (const cudaError_t error = cudaLaunchKernelEx(&config, detail::simt_kernel<Kernel>, params); error != cudaSuccess)
    fail(concat("CUDA refused a launch of ", grid.x, " x ", grid.y, " x ", grid.z,
                " blocks: ", std::string_view(cudaGetErrorString(error))));
}

#endif

}  // namespace ashlar::inline v0
