// How threads, warpgroups, blocks and launches are steered: fences between the ways to memory, registers, named
// barriers, clusters, programmatic dependent launches. Read next: device/cuda/ptx/wgmma.cuh.
#pragma once

#include <cstdint>

#include "ashlar/device/cuda/ptx/barrier.cuh"

#if defined(__CUDACC__)
namespace ashlar::inline v0::ptx {

/// What the thread wrote to shared memory is seen by the copy engine and by wgmma (which read through a proxy of their
/// own), once a barrier or an arrival has told the thread that starts them.
__device__ __forceinline__ void fence_async() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
/// The same for global memory, that the copy engine reads in the same launch.
__device__ __forceinline__ void fence_async_global() {
  asm volatile("fence.proxy.async.global;" ::: "memory");
}

/// The warpgroup gives registers back, down to `Count` a thread, or waits for as many: a multiple of 8 in 24 to 256.
template <int Count>
__device__ __forceinline__ void fewer_registers() {
  static_assert(Count % 8 == 0 && Count >= 24 && Count <= 256);
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(Count));
}
template <int Count>
__device__ __forceinline__ void more_registers() {
  static_assert(Count % 8 == 0 && Count >= 24 && Count <= 256);
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(Count));
}

/// Barrier `id` (1 to 15) for `count` threads (a multiple of 32), of which some only arrive.
__device__ __forceinline__ void bar_sync(int id, int count) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(count) : "memory");
}
__device__ __forceinline__ void bar_arrive(int id, int count) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(count) : "memory");
}

/// True in one lane of the converged warp.
__device__ __forceinline__ bool elect() {
  std::uint32_t chosen;
  asm volatile("{\n.reg .pred p;\nelect.sync _|p, 0xffffffff;\nselp.u32 %0, 1, 0, p;\n}\n" : "=r"(chosen)::"memory");
  return chosen != 0;
}

/// The block's number in its cluster (Kernel::cluster blocks along x), from 0.
__device__ __forceinline__ int cluster_rank() {
  std::uint32_t rank;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return static_cast<int>(rank);
}
__device__ __forceinline__ int cluster_size() {
  std::uint32_t size;
  asm("mov.u32 %0, %%cluster_nctaid.x;" : "=r"(size));
  return static_cast<int>(size);
}
/// A barrier of all threads of the cluster, in two halves. Every kernel with a cluster ends with one: a block's shared
/// memory must live as long as others may reach it.
__device__ __forceinline__ void cluster_arrive() {
  asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
}
__device__ __forceinline__ void cluster_wait() {
  asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
}
__device__ __forceinline__ void cluster_sync() {
  cluster_arrive();
  cluster_wait();
}
/// Where the shared memory at p lies in block `rank` of the cluster: a pointer for Simt::load and store.
template <class T>
__device__ __forceinline__ T* peer(T* p, int rank) {
  std::uint64_t there;
  asm("mapa.u64 %0, %1, %2;" : "=l"(there) : "l"(p), "r"(rank));
  return reinterpret_cast<T*>(there);
}

/// Programmatic dependent launch (Kernel::programmatic): returns when the launches before are done and their memory is
/// seen. Comes before the first access to what they write.
__device__ __forceinline__ void wait_previous_launch() {
  asm volatile("griddepcontrol.wait;" ::: "memory");
}
/// The next launch may begin once every block has called this or ended.
__device__ __forceinline__ void start_next_launch() {
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
}

}  // namespace ashlar::inline v0::ptx
#endif
