// The copy engine (TMA): boxes of arrays that a tensor map describes, and plain runs of bytes, between global and
// shared memory. One thread starts a copy. (PTX ISA, "cp.async.bulk".) Read next: device/cuda/tensor_map.hpp.
#pragma once

#include <cstdint>

#include "ashlar/device/cuda/ptx/barrier.cuh"
#include "ashlar/device/cuda/tensor_map.hpp"

#if defined(__CUDACC__)
namespace ashlar::inline v0::ptx {

/// The map is in the cache when the first copy needs it.
__device__ __forceinline__ void prefetch(const TensorMap& map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}

// Loads. c0, c1, ..: the coordinate of the box's first element, innermost dimension first; elements outside of the
// array are zero. `to`: shared memory, aligned to the swizzle's pattern (1024 bytes for Swizzle::b128). The box's
// bytes, those outside too, count towards `barrier`.

__device__ __forceinline__ void load(void* to, const TensorMap& map, Barrier& barrier, int c0, int c1) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];" ::
          "r"(address(to)),
      "l"(&map), "r"(address(&barrier)), "r"(c0), "r"(c1)
      : "memory");
}
__device__ __forceinline__ void load(void* to, const TensorMap& map, Barrier& barrier, int c0, int c1, int c2) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5}], "
      "[%2];" ::"r"(address(to)),
      "l"(&map), "r"(address(&barrier)), "r"(c0), "r"(c1), "r"(c2)
      : "memory");
}
__device__ __forceinline__ void load(void* to, const TensorMap& map, Barrier& barrier, int c0, int c1, int c2, int c3) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, %6}], "
      "[%2];" ::"r"(address(to)),
      "l"(&map), "r"(address(&barrier)), "r"(c0), "r"(c1), "r"(c2), "r"(c3)
      : "memory");
}
__device__ __forceinline__ void load(void* to, const TensorMap& map, Barrier& barrier, int c0, int c1, int c2, int c3,
                                     int c4) {
  asm volatile(
      "cp.async.bulk.tensor.5d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, %6, "
      "%7}], [%2];" ::"r"(address(to)),
      "l"(&map), "r"(address(&barrier)), "r"(c0), "r"(c1), "r"(c2), "r"(c3), "r"(c4)
      : "memory");
}

// The same into every block of the cluster whose bit of `blocks` is set: at the same place, counting at each block's
// own barrier.

__device__ __forceinline__ void load_multicast(void* to, const TensorMap& map, Barrier& barrier, unsigned blocks,
                                               int c0, int c1) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, "
      "{%3, %4}], [%2], %5;" ::"r"(address(to)),
      "l"(&map), "r"(address(&barrier)), "r"(c0), "r"(c1), "h"(static_cast<std::uint16_t>(blocks))
      : "memory");
}
__device__ __forceinline__ void load_multicast(void* to, const TensorMap& map, Barrier& barrier, unsigned blocks,
                                               int c0, int c1, int c2) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, "
      "{%3, %4, %5}], [%2], %6;" ::"r"(address(to)),
      "l"(&map), "r"(address(&barrier)), "r"(c0), "r"(c1), "r"(c2), "h"(static_cast<std::uint16_t>(blocks))
      : "memory");
}
__device__ __forceinline__ void load_multicast(void* to, const TensorMap& map, Barrier& barrier, unsigned blocks,
                                               int c0, int c1, int c2, int c3) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, "
      "{%3, %4, %5, %6}], [%2], %7;" ::"r"(address(to)),
      "l"(&map), "r"(address(&barrier)), "r"(c0), "r"(c1), "r"(c2), "r"(c3), "h"(static_cast<std::uint16_t>(blocks))
      : "memory");
}

// Stores. What falls outside of the array is dropped. Before: fence_async by each thread that wrote the box, and a
// barrier. After: commit_stores, and wait_stores_read before the box is written again.

__device__ __forceinline__ void store(const TensorMap& map, const void* from, int c0, int c1) {
  asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%0, {%2, %3}], [%1];" ::"l"(&map),
               "r"(address(from)), "r"(c0), "r"(c1)
               : "memory");
}
__device__ __forceinline__ void store(const TensorMap& map, const void* from, int c0, int c1, int c2) {
  asm volatile("cp.async.bulk.tensor.3d.global.shared::cta.tile.bulk_group [%0, {%2, %3, %4}], [%1];" ::"l"(&map),
               "r"(address(from)), "r"(c0), "r"(c1), "r"(c2)
               : "memory");
}
__device__ __forceinline__ void store(const TensorMap& map, const void* from, int c0, int c1, int c2, int c3) {
  asm volatile("cp.async.bulk.tensor.4d.global.shared::cta.tile.bulk_group [%0, {%2, %3, %4, %5}], [%1];" ::"l"(&map),
               "r"(address(from)), "r"(c0), "r"(c1), "r"(c2), "r"(c3)
               : "memory");
}
__device__ __forceinline__ void store(const TensorMap& map, const void* from, int c0, int c1, int c2, int c3, int c4) {
  asm volatile(
      "cp.async.bulk.tensor.5d.global.shared::cta.tile.bulk_group [%0, {%2, %3, %4, %5, %6}], [%1];" ::"l"(&map),
      "r"(address(from)), "r"(c0), "r"(c1), "r"(c2), "r"(c3), "r"(c4)
      : "memory");
}

// Adds the box to the array: atomically for each element, in no order.

__device__ __forceinline__ void add(const TensorMap& map, const void* from, int c0, int c1) {
  asm volatile(
      "cp.reduce.async.bulk.tensor.2d.global.shared::cta.add.tile.bulk_group [%0, {%2, %3}], [%1];" ::"l"(&map),
      "r"(address(from)), "r"(c0), "r"(c1)
      : "memory");
}
__device__ __forceinline__ void add(const TensorMap& map, const void* from, int c0, int c1, int c2) {
  asm volatile(
      "cp.reduce.async.bulk.tensor.3d.global.shared::cta.add.tile.bulk_group [%0, {%2, %3, %4}], [%1];" ::"l"(&map),
      "r"(address(from)), "r"(c0), "r"(c1), "r"(c2)
      : "memory");
}
__device__ __forceinline__ void add(const TensorMap& map, const void* from, int c0, int c1, int c2, int c3) {
  asm volatile(
      "cp.reduce.async.bulk.tensor.4d.global.shared::cta.add.tile.bulk_group [%0, {%2, %3, %4, %5}], [%1];" ::"l"(&map),
      "r"(address(from)), "r"(c0), "r"(c1), "r"(c2), "r"(c3)
      : "memory");
}

// Runs of `bytes` (a multiple of 16; both addresses aligned to 16).

__device__ __forceinline__ void load_bytes(void* to, const void* from, int bytes, Barrier& barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(address(to)),
      "l"(from), "r"(bytes), "r"(address(&barrier))
      : "memory");
}
__device__ __forceinline__ void store_bytes(void* to, const void* from, int bytes) {
  asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(to), "r"(address(from)), "r"(bytes)
               : "memory");
}
/// to[i] += from[i]: atomically for each float, in no order.
__device__ __forceinline__ void add_bytes(float* to, const float* from, int bytes) {
  asm volatile("cp.reduce.async.bulk.global.shared::cta.bulk_group.add.f32 [%0], [%1], %2;" ::"l"(to),
               "r"(address(from)), "r"(bytes)
               : "memory");
}

/// The thread's stores and additions since the last call are one group.
__device__ __forceinline__ void commit_stores() {
  asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}
/// At most `Pending` of the thread's groups still read shared memory: that of the older ones may be written again.
template <int Pending = 0>
__device__ __forceinline__ void wait_stores_read() {
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(Pending) : "memory");
}
/// At most `Pending` of the thread's groups are not yet in global memory.
template <int Pending = 0>
__device__ __forceinline__ void wait_stores() {
  asm volatile("cp.async.bulk.wait_group %0;" ::"n"(Pending) : "memory");
}

}  // namespace ashlar::inline v0::ptx
#endif
