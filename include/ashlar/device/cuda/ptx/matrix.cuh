// What a warp does with small matrices: ldmatrix, stmatrix, mma.sync, and the asynchronous copies (cp.async) that feed
// them; all but stmatrix from sm_80 on. (PTX ISA, "Warp-level matrix instructions".)
#pragma once

#include <cstdint>

#include "ashlar/device/cuda/ptx/barrier.cuh"

#if defined(__CUDACC__)
namespace ashlar::inline v0::ptx {

/// Two numbers rounded to bf16, the first in the lower half.
__device__ __forceinline__ std::uint32_t pack(float first, float second) {
  std::uint32_t both;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(second), "f"(first));
  return both;
}

// Matrices of 8 x 8 two-byte elements. Lane l brings the address (of ptx::address, aligned to 16) of row l % 8 of
// matrix l / 8; of matrix i it has, in r[i], elements 2 (l % 4) and 2 (l % 4) + 1 of row l / 4, or of column l / 4
// (transposed).

__device__ __forceinline__ void ldmatrix(std::uint32_t (&r)[4], std::uint32_t from) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(from)
               : "memory");
}
__device__ __forceinline__ void ldmatrix_transposed(std::uint32_t (&r)[4], std::uint32_t from) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(from)
               : "memory");
}
__device__ __forceinline__ void ldmatrix(std::uint32_t (&r)[2], std::uint32_t from) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(from)
               : "memory");
}
__device__ __forceinline__ void ldmatrix_transposed(std::uint32_t (&r)[2], std::uint32_t from) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(from)
               : "memory");
}
__device__ __forceinline__ void stmatrix(std::uint32_t to, std::uint32_t r0, std::uint32_t r1, std::uint32_t r2,
                                         std::uint32_t r3) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(to), "r"(r0), "r"(r1), "r"(r2),
               "r"(r3)
               : "memory");
}
__device__ __forceinline__ void stmatrix_transposed(std::uint32_t to, std::uint32_t r0, std::uint32_t r1,
                                                    std::uint32_t r2, std::uint32_t r3) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(to), "r"(r0), "r"(r1),
               "r"(r2), "r"(r3)
               : "memory");
}

/// d [16, 8] += a [16, 16] b [16, 8], bf16 into f32, by a warp. Lane l, with g = l / 4 and t = l % 4:
///   d[i]: row g + 8 (i / 2), column 2 t + i % 2
///   a[i]: row g + 8 (i % 2), columns 2 t + 8 (i / 2) and the next;   b[i]: rows 2 t + 8 i and the next, column g.
__device__ __forceinline__ void mma(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, "
      "%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// Sixteen bytes from global to shared memory, not waiting; of them the first `bytes` are read, the others are zero.
__device__ __forceinline__ void copy16(void* to, const void* from, int bytes = 16) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address(to)), "l"(from), "r"(bytes) : "memory");
}
/// The thread's copies since the last call are one group.
__device__ __forceinline__ void commit_copies() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
/// At most `Pending` of the thread's groups have not arrived. Other threads see the bytes after a barrier.
template <int Pending>
__device__ __forceinline__ void wait_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
}
/// One arrival at the barrier when the thread's copies so far have come. The thread goes on.
__device__ __forceinline__ void arrive_after_copies(Barrier& barrier) {
  asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(address(&barrier)) : "memory");
}

}  // namespace ashlar::inline v0::ptx
#endif
