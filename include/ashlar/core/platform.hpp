// The only header of the library that defines macros: what the compiler and the build can do.
// Included by every file that needs one of them; read next: core/dtype.hpp.
#pragma once

// ASHLAR_HOST_DEVICE: a function that runs on the host and inside CUDA kernels.
// ASHLAR_DEVICE: a function of a kernel body; under the emulator it is ordinary host code.
#if defined(__CUDACC__)
#define ASHLAR_HOST_DEVICE __host__ __device__ __forceinline__
#define ASHLAR_DEVICE __device__ __forceinline__
#else
#define ASHLAR_HOST_DEVICE inline
#define ASHLAR_DEVICE inline
#endif

// ASHLAR_CUDA_EMULATED=1: the Cuda device runs on the SIMT emulator (set by the target ashlar::emulator).
#if !defined(ASHLAR_CUDA_EMULATED)
#define ASHLAR_CUDA_EMULATED 0
#endif

// ASHLAR_WITH_CUDA=1: the Cuda device runs on the CUDA Toolkit (set by the build with -DASHLAR_CUDA=ON).
#if !defined(ASHLAR_WITH_CUDA)
#define ASHLAR_WITH_CUDA 0
#endif

// ASHLAR_WITH_ONEDNN=1: matrix products of the Cpu device use oneDNN. ASHLAR_WITH_MPI=1: comm/mpi.hpp is usable.
#if !defined(ASHLAR_WITH_ONEDNN)
#define ASHLAR_WITH_ONEDNN 0
#endif
#if !defined(ASHLAR_WITH_MPI)
#define ASHLAR_WITH_MPI 0
#endif

// ASHLAR_WITH_NCCL=1: ranks on Cuda exchange by NCCL (set by the build with -DASHLAR_CUDA=ON, where NCCL is found).
#if !defined(ASHLAR_WITH_NCCL)
#define ASHLAR_WITH_NCCL 0
#endif

// ASHLAR_WITH_TOKENIZERS=1: PCRE2 and utf8proc are there, and tokenizers of other models can be read.
#if !defined(ASHLAR_WITH_TOKENIZERS)
#define ASHLAR_WITH_TOKENIZERS 0
#endif

// ASHLAR_COMPILED: 0, the library is headers alone; 1, code that no recipe changes comes from a library that is
// compiled once (ashlar_compile of the build); 2, this is that library. ASHLAR_INSTANCE stands before what it has: see
// ashlar/instances.hpp.
#if !defined(ASHLAR_COMPILED)
#define ASHLAR_COMPILED 0
#endif
#if ASHLAR_COMPILED == 2
#define ASHLAR_INSTANCE template
#else
#define ASHLAR_INSTANCE extern template
#endif

// ASHLAR_INSTANCES(function, arguments...): its instances in float and bf16, whatever template arguments come first.
#define ASHLAR_INSTANCES(function, ...)                                                                            \
  ASHLAR_INSTANCE decltype(function<__VA_ARGS__ __VA_OPT__(, ) float>) function<__VA_ARGS__ __VA_OPT__(, ) float>; \
  ASHLAR_INSTANCE decltype(function<__VA_ARGS__ __VA_OPT__(, ) bf16>) function<__VA_ARGS__ __VA_OPT__(, ) bf16>

// ASHLAR_ONCE stands before the definitions of an .ipp: inline where headers include it, nothing where it is compiled
// once.
#if ASHLAR_COMPILED == 2
#define ASHLAR_ONCE
#else
#define ASHLAR_ONCE inline
#endif

// ASHLAR_BUILD: the build's identity, written into checkpoints.
#if !defined(ASHLAR_BUILD)
#define ASHLAR_BUILD "unknown"
#endif

// ASHLAR_ASAN, ASHLAR_TSAN: 1 where the program is compiled with that sanitizer.
#if defined(__SANITIZE_ADDRESS__)
#define ASHLAR_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ASHLAR_ASAN 1
#endif
#endif
#if !defined(ASHLAR_ASAN)
#define ASHLAR_ASAN 0
#endif
#if defined(__SANITIZE_THREAD__)
#define ASHLAR_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ASHLAR_TSAN 1
#endif
#endif
#if !defined(ASHLAR_TSAN)
#define ASHLAR_TSAN 0
#endif

// ASHLAR_PRAGMA_OMP(directive): an OpenMP directive where OpenMP is on, nothing elsewhere.
#define ASHLAR_PRAGMA(text) _Pragma(#text)
#if defined(_OPENMP) && !defined(__CUDACC__)
#define ASHLAR_OMP(directive) ASHLAR_PRAGMA(omp directive)
#else
#define ASHLAR_OMP(directive)
#endif
// ASHLAR_SIMD: this loop's iterations are independent (vectorise it, whatever the pointers may alias).
#if defined(__clang__)
#define ASHLAR_SIMD ASHLAR_PRAGMA(clang loop vectorize(assume_safety))
#elif defined(__GNUC__)
#define ASHLAR_SIMD ASHLAR_PRAGMA(GCC ivdep)
#else
#define ASHLAR_SIMD
#endif
