// What a kernel body may use: thread indices, barriers, shuffles, votes, atomics, shared and global memory. A kernel
// names nothing else of CUDA, so the same template compiles under nvcc and runs on the emulator (emulator/), which
// checks every access. Read next: device/cuda/launch.cuh, then ops/rms_norm/cuda.cuh (a small kernel).
//
// A kernel is a struct:
//   struct Kernel {
//     struct Params { ... };                                  // trivially copyable, passed by value
//     struct Shared { SharedArray<float, 32> partial; };      // or: using Shared = NoShared; at most 227 KiB
//     static constexpr int threads = 256;                     // block size, a multiple of 32, the launch bound
//     static constexpr int min_blocks = 2;                    // optional: blocks that must fit a multiprocessor
//     static constexpr int cluster = 2;                       // optional: blocks along x that live together
//     static constexpr bool programmatic = true;              // optional: may begin before the launch before it ends
//     static constexpr int arch = 90;                         // optional: uses what sm_90a alone has (ptx.cuh)
//     ASHLAR_DEVICE static void run(const Params&, Simt<Shared>&);
//   };
#pragma once

#include <cstdint>
#include <type_traits>

#include "ashlar/core/dtype.hpp"
#include "ashlar/core/platform.hpp"
#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0 {

inline constexpr unsigned full_warp = 0xffffffffu;
inline constexpr int warp_size = 32;

struct NoShared {};

namespace detail {
template <class Kernel>
constexpr int cluster_blocks() {
  if constexpr (requires { Kernel::cluster; })
    return Kernel::cluster;
  else
    return 1;
}
template <class Kernel>
constexpr bool is_programmatic() {
  if constexpr (requires { Kernel::programmatic; })
    return Kernel::programmatic;
  else
    return false;
}
}  // namespace detail

}  // namespace ashlar::inline v0

#if ASHLAR_CUDA_EMULATED
#include "ashlar/emulator/simt.hpp"  // the same names, on fibers
#elif defined(__CUDACC__)

namespace ashlar::inline v0 {

/// N elements of shared memory. Not initialised.
template <class T, int N>
struct SharedArray {
  T elements[N];
  __device__ __forceinline__ T& operator[](int i) { return elements[i]; }
};

/// The calling thread. Blocks are one-dimensional in threads; grids have up to three dimensions.
template <class SharedT>
class Simt {
 public:
  __device__ __forceinline__ explicit Simt(SharedT& shared) : shared_(shared) {}

  __device__ __forceinline__ int thread() const { return static_cast<int>(threadIdx.x); }
  __device__ __forceinline__ int threads() const { return static_cast<int>(blockDim.x); }
  __device__ __forceinline__ int lane() const { return static_cast<int>(threadIdx.x & 31u); }
  __device__ __forceinline__ int warp() const { return static_cast<int>(threadIdx.x >> 5); }
  __device__ __forceinline__ int warps() const { return static_cast<int>(blockDim.x >> 5); }
  __device__ __forceinline__ index_t block_x() const { return blockIdx.x; }
  __device__ __forceinline__ index_t block_y() const { return blockIdx.y; }
  __device__ __forceinline__ index_t block_z() const { return blockIdx.z; }
  __device__ __forceinline__ index_t blocks_x() const { return gridDim.x; }

  __device__ __forceinline__ SharedT& shared() { return shared_; }

  /// Global memory. Every access of a kernel goes through these two (but for the state of masks, which is shared with
  /// the host).
  template <class T>
  __device__ __forceinline__ T load(const T* p) const {
    return *p;
  }
  template <class T>
  __device__ __forceinline__ void store(T* p, T value) const {
    // Structs of 8 or 16 bytes are stored by one instruction, spelled out: nvcc takes such stores apart when another
    // branch stores the members one by one.
    if constexpr (std::is_class_v<T> && sizeof(T) == 16 && alignof(T) == 16) {
      const auto v = __builtin_bit_cast(uint4, value);
      asm volatile("st.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(p), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w) : "memory");
    } else if constexpr (std::is_class_v<T> && sizeof(T) == 8 && alignof(T) == 8) {
      const auto v = __builtin_bit_cast(uint2, value);
      asm volatile("st.v2.b32 [%0], {%1, %2};" ::"l"(p), "r"(v.x), "r"(v.y) : "memory");
    } else {
      *p = value;
    }
  }

  /// All threads of the block arrive before any goes on; memory written before is visible after.
  __device__ __forceinline__ void sync() const { __syncthreads(); }
  /// The same for `count` threads (a multiple of 32) that name barrier `id` (1 to 15).
  __device__ __forceinline__ void sync(int id, int count) const {
    asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(count) : "memory");
  }
  __device__ __forceinline__ void sync_warp(unsigned mask = full_warp) const { __syncwarp(mask); }

  template <class T>
  __device__ __forceinline__ T shuffle(T value, int lane, unsigned mask = full_warp) const {
    return __shfl_sync(mask, value, lane);
  }
  template <class T>
  __device__ __forceinline__ T shuffle_xor(T value, int lanes, unsigned mask = full_warp) const {
    return __shfl_xor_sync(mask, value, lanes);
  }
  /// The value of lane + delta; lanes without one keep their own.
  template <class T>
  __device__ __forceinline__ T shuffle_down(T value, int delta, unsigned mask = full_warp) const {
    return __shfl_down_sync(mask, value, delta);
  }
  template <class T>
  __device__ __forceinline__ T shuffle_up(T value, int delta, unsigned mask = full_warp) const {
    return __shfl_up_sync(mask, value, delta);
  }
  __device__ __forceinline__ unsigned ballot(bool predicate, unsigned mask = full_warp) const {
    return __ballot_sync(mask, predicate);
  }
  __device__ __forceinline__ bool any(bool predicate, unsigned mask = full_warp) const {
    return __any_sync(mask, predicate);
  }
  __device__ __forceinline__ bool all(bool predicate, unsigned mask = full_warp) const {
    return __all_sync(mask, predicate);
  }
  /// The lanes of `mask` whose value equals the caller's.
  __device__ __forceinline__ unsigned match_any(std::uint32_t value, unsigned mask = full_warp) const {
    return __match_any_sync(mask, value);
  }

  /// Atomic on global memory (or on an element of a SharedArray); returns the old value.
  template <class T>
  __device__ __forceinline__ T atomic_add(T* p, T value) const {
    return atomicAdd(p, value);
  }
  /// Onto p[0 .. 4), 16 bytes aligned, each sum by itself.
  __device__ __forceinline__ void atomic_add(float* p, float a, float b, float c, float d) const {
    asm volatile("red.global.add.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(p), "f"(a), "f"(b), "f"(c), "f"(d) : "memory");
  }
  template <class T>
  __device__ __forceinline__ T atomic_max(T* p, T value) const {
    return atomicMax(p, value);
  }
  template <class T>
  __device__ __forceinline__ T atomic_cas(T* p, T expected, T value) const {
    return atomicCAS(p, expected, value);
  }
  template <class T>
  __device__ __forceinline__ T atomic_add_shared(T& element, T value) const {
    return atomicAdd(&element, value);
  }

  // Arithmetic whose instruction the device chooses: approximate for float, exact for double. For float
  // rsqrt is within 2 ulp, exp within 2 near 0 and within 50 where |x| is 50.
  __device__ __forceinline__ float exp(float x) const { return __expf(x); }
  __device__ __forceinline__ double exp(double x) const { return ::exp(x); }
  /// Within 2 ulp; below the smallest normal number 0.
  __device__ __forceinline__ float exp2(float x) const {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
  }
  __device__ __forceinline__ float log(float x) const { return logf(x); }
  __device__ __forceinline__ double log(double x) const { return ::log(x); }
  __device__ __forceinline__ float rsqrt(float x) const { return rsqrtf(x); }
  __device__ __forceinline__ double rsqrt(double x) const { return ::rsqrt(x); }
  __device__ __forceinline__ float sqrt(float x) const { return sqrtf(x); }
  __device__ __forceinline__ double sqrt(double x) const { return ::sqrt(x); }

 private:
  SharedT& shared_;
};

}  // namespace ashlar::inline v0

#endif
