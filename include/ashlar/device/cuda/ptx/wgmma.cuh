// wgmma: a warpgroup (four warps, the first a multiple of four) multiplies matrices of shared memory, asynchronously,
// into registers. (PTX ISA, "wgmma".) The instructions themselves: ptx/wgmma_shared.cuh, ptx/wgmma_registers.cuh.
//
// A result d [64, N] lies in a float[N / 2] of each of the 128 threads: with warp w and lane l, d[i] is
//   row 16 w + l / 4 + 8 (i / 2 % 2),  column 8 (i / 4) + 2 (l % 4) + i % 2.
#pragma once

#include <cstdint>

#include "ashlar/device/cuda/ptx/barrier.cuh"
#include "ashlar/device/cuda/ptx/descriptor.cuh"
#include "ashlar/device/cuda/ptx/wgmma_registers.cuh"
#include "ashlar/device/cuda/ptx/wgmma_shared.cuh"

#if defined(__CUDACC__)
namespace ashlar::inline v0::ptx {

/// Before the first product of a batch: registers that the threads wrote are seen by it.
__device__ __forceinline__ void wgmma_fence() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
/// The products since the last call are one group.
__device__ __forceinline__ void wgmma_commit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
/// At most `Pending` groups are not done; the registers and the shared memory of the older ones are free.
template <int Pending>
__device__ __forceinline__ void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(Pending) : "memory");
}

/// The compiler must have the values in their registers here: around wgmma, it must not move what touches them.
template <int N>
__device__ __forceinline__ void hold(float (&d)[N]) {
#pragma unroll
  for (int i = 0; i < N; ++i) asm volatile("" : "+f"(d[i])::"memory");
}
template <int N>
__device__ __forceinline__ void hold(std::uint32_t (&a)[N]) {
#pragma unroll
  for (int i = 0; i < N; ++i) asm volatile("" : "+r"(a[i])::"memory");
}

}  // namespace ashlar::inline v0::ptx
#endif
