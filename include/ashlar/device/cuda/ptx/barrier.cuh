// mbarriers: words of shared memory that count arrivals and bytes, for threads and the copy engine to wait on.
// (PTX ISA, "Asynchronous barriers".) Read next: device/cuda/ptx/bulk_copy.cuh.
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
namespace ashlar::inline v0::ptx {

/// A member of Kernel::Shared. A phase ends when the arrivals it was made for have come and so have the bytes expected.
/// Waits name the parity of a phase: the first phase has parity 0, and before it parity 1 counts as over.
struct Barrier {
  std::uint64_t word;
};

/// The address of shared memory, as instructions and descriptors take it.
__device__ __forceinline__ std::uint32_t address(const void* p) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(p));
}

/// By one thread; then fence_barrier_init by that thread and a barrier of the block (or cluster) before any use.
__device__ __forceinline__ void init(Barrier& barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(address(&barrier)), "r"(arrivals) : "memory");
}
/// Initialised barriers are seen by the copy engine and by the other blocks of the cluster.
__device__ __forceinline__ void fence_barrier_init() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
/// The memory may hold something else from now on; nobody may wait or be expected.
__device__ __forceinline__ void invalidate(Barrier& barrier) {
  asm volatile("mbarrier.inval.shared::cta.b64 [%0];" ::"r"(address(&barrier)) : "memory");
}

/// One arrival. What the thread did before is seen by who waits for the phase.
__device__ __forceinline__ void arrive(Barrier& barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(address(&barrier)) : "memory");
}
/// One arrival at the barrier at the same place of block `rank` of the cluster.
__device__ __forceinline__ void arrive_remote(Barrier& barrier, int rank) {
  asm volatile(
      "{\n.reg .b32 at;\nmapa.shared::cluster.u32 at, %0, %1;\n"
      "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [at];\n}\n" ::"r"(address(&barrier)),
      "r"(rank)
      : "memory");
}
/// One arrival, and the phase takes `bytes` more from the copy engine.
__device__ __forceinline__ void arrive_expecting(Barrier& barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(address(&barrier)), "r"(bytes)
               : "memory");
}
/// The phase takes `bytes` more; no arrival.
__device__ __forceinline__ void expect(Barrier& barrier, int bytes) {
  asm volatile("mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%0], %1;" ::"r"(address(&barrier)), "r"(bytes)
               : "memory");
}

/// Whether the phase of `parity` is over; may wait a while before it says no.
__device__ __forceinline__ bool try_wait(Barrier& barrier, int parity) {
  std::uint32_t done;
  asm volatile("{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}\n"
               : "=r"(done)
               : "r"(address(&barrier)), "r"(parity)
               : "memory");
  return done != 0;
}
/// Returns when the phase of `parity` is over. What was done before the arrivals, and the bytes, are seen then.
__device__ __forceinline__ void wait(Barrier& barrier, int parity) {
  while (!try_wait(barrier, parity)) {}
}
/// The same where arrivals come from other blocks of the cluster (arrive_remote).
__device__ __forceinline__ void wait_cluster(Barrier& barrier, int parity) {
  std::uint32_t done;
  do
    asm volatile(
        "{\n.reg .pred p;\nmbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%1], %2;\n"
        "selp.u32 %0, 1, 0, p;\n}\n"
        : "=r"(done)
        : "r"(address(&barrier)), "r"(parity)
        : "memory");
  while (!done);
}

}  // namespace ashlar::inline v0::ptx
#endif
