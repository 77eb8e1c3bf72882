// The memory functions and the queue of Cuda, defined: over the CUDA Toolkit (ASHLAR_WITH_CUDA) or over the emulator
// (ASHLAR_CUDA_EMULATED); without either it defines nothing. Include it in a file that runs on Cuda; naming Cuda takes
// device/cuda/cuda.hpp alone. Read next: device/cuda/launch.cuh.
#pragma once

#include "ashlar/device/cuda/cuda.hpp"

#if ASHLAR_CUDA_EMULATED
#include "ashlar/emulator/runtime.hpp"
#elif ASHLAR_WITH_CUDA
#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include "ashlar/core/error.hpp"

namespace ashlar::inline v0 {

namespace detail {

/// Throws Error unless `status` is success. `call` names the call, on so many `bytes` if any; `remedy` says what to
/// try.
inline void check_cuda(cudaError_t status, std::string_view call, std::string_view remedy, std::size_t bytes = 0) {
  if (status == cudaSuccess) [[likely]]
    return;
  fail(concat(call, bytes ? concat(" of ", bytes, " bytes") : std::string(), ": ",
              std::string_view(cudaGetErrorString(status)), " (", std::string_view(cudaGetErrorName(status)), "); ",
              remedy));
}

inline constexpr std::string_view earlier_kernel_remedy =
    "if the GPU is healthy, a kernel before this call failed: run under compute-sanitizer to find it";

}  // namespace detail

inline int Cuda::count() {
  int n = 0;
  detail::check_cuda(cudaGetDeviceCount(&n), "cudaGetDeviceCount", "look at nvidia-smi for a GPU, and at its driver");
  return n;
}

inline void Cuda::select(int gpu) {
  detail::check_cuda(cudaSetDevice(gpu), "cudaSetDevice", "look at nvidia-smi for a GPU that this process may use");
}

inline int Cuda::selected() {
  int gpu = 0;
  detail::check_cuda(cudaGetDevice(&gpu), "cudaGetDevice", detail::earlier_kernel_remedy);
  return gpu;
}

inline Cuda::Queue::Queue() {
  cudaStream_t stream = nullptr;
  detail::check_cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags",
                     "look at nvidia-smi for a GPU that this process may use");
  stream_ = stream;
  cublasLtHandle_t blas = nullptr;
  if (const cublasStatus_t status = cublasLtCreate(&blas); status != CUBLAS_STATUS_SUCCESS) {
    cudaStreamDestroy(stream);
    fail(concat("cublasLtCreate: ", std::string_view(cublasLtGetStatusString(status)),
                "; free memory on the GPU, or match the cuBLASLt library to the driver"));
  }
  blas_ = blas;
  if (const cudaError_t status = cudaMalloc(&workspace_, workspace_bytes); status != cudaSuccess) {
    cublasLtDestroy(blas);
    cudaStreamDestroy(stream);
    detail::check_cuda(status, "cudaMalloc of a queue's workspace",
                       "create queues before the model, or lower the batch");
  }
}

inline Cuda::Queue::~Queue() {
  // A destructor can't report: what failed on the stream has been, or will be, reported by the next checked call.
  cudaStreamSynchronize(static_cast<cudaStream_t>(stream_));
  cudaFree(workspace_);
  cublasLtDestroy(static_cast<cublasLtHandle_t>(blas_));
  cudaStreamDestroy(static_cast<cudaStream_t>(stream_));
}

inline Cuda::Staging::Staging(std::size_t bytes) {
  void* p = nullptr;
  detail::check_cuda(cudaHostAlloc(&p, bytes, cudaHostAllocDefault), "cudaHostAlloc of a staging buffer",
                     "the host can lock fewer pages than a step's tokens take: lower the batch");
  data_ = static_cast<std::byte*>(p);
  cudaEvent_t event = nullptr;
  if (const cudaError_t status = cudaEventCreateWithFlags(&event, cudaEventDisableTiming); status != cudaSuccess) {
    cudaFreeHost(data_);
    detail::check_cuda(status, "cudaEventCreateWithFlags", detail::earlier_kernel_remedy);
  }
  uploaded_ = event;
}

inline Cuda::Staging::~Staging() {
  cudaEventSynchronize(static_cast<cudaEvent_t>(uploaded_));
  cudaEventDestroy(static_cast<cudaEvent_t>(uploaded_));
  cudaFreeHost(data_);
}

/// An event that was never recorded counts as reached. Asked first: most often there is nothing to wait for.
inline std::byte* Cuda::Staging::fill() {
  const auto event = static_cast<cudaEvent_t>(uploaded_);
  cudaError_t status = cudaEventQuery(event);
  if (status == cudaErrorNotReady) status = cudaEventSynchronize(event);
  detail::check_cuda(status, "cudaEventSynchronize", detail::earlier_kernel_remedy);
  return data_;
}

inline void* Cuda::allocate(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  void* p = nullptr;
  detail::check_cuda(
      cudaMalloc(&p, bytes), "cudaMalloc",
      "lower the batch or the sequence length, shard over more GPUs, or turn on activation checkpointing", bytes);
  return p;
}

/// Waits for the GPU: work that uses the memory is done afterwards.
inline void Cuda::deallocate(void* p, std::size_t) {
  // Called by destructors, also after an error of the GPU, which the next checked call reports.
  cudaFree(p);
}

inline void Cuda::fill_zero(Queue& queue, void* p, std::size_t bytes) {
  if (bytes == 0) return;
  detail::check_cuda(cudaMemsetAsync(p, 0, bytes, static_cast<cudaStream_t>(queue.stream())), "cudaMemsetAsync",
                     detail::earlier_kernel_remedy, bytes);
}

inline void Cuda::copy(Queue& queue, void* target, const void* source, std::size_t bytes) {
  if (bytes == 0) return;
  detail::check_cuda(
      cudaMemcpyAsync(target, source, bytes, cudaMemcpyDeviceToDevice, static_cast<cudaStream_t>(queue.stream())),
      "cudaMemcpyAsync on the device", detail::earlier_kernel_remedy, bytes);
}

/// From pageable memory CUDA waits for the stream and stages the bytes before it returns; from page-locked memory it
/// reads them later, so this waits. A step uploads from Staging.
inline void Cuda::upload(Queue& queue, void* target, const void* source, std::size_t bytes) {
  if (bytes == 0) return;
  const auto stream = static_cast<cudaStream_t>(queue.stream());
  detail::check_cuda(cudaMemcpyAsync(target, source, bytes, cudaMemcpyHostToDevice, stream),
                     "cudaMemcpyAsync to the device", detail::earlier_kernel_remedy, bytes);
  cudaPointerAttributes where{};
  detail::check_cuda(cudaPointerGetAttributes(&where, source), "cudaPointerGetAttributes",
                     detail::earlier_kernel_remedy);
  if (where.type != cudaMemoryTypeUnregistered) synchronize(queue);
}

inline void Cuda::upload(Queue& queue, void* target, Staging& source, std::size_t offset, std::size_t bytes) {
  if (bytes == 0) return;
  const auto stream = static_cast<cudaStream_t>(queue.stream());
  detail::check_cuda(cudaMemcpyAsync(target, source.data_ + offset, bytes, cudaMemcpyHostToDevice, stream),
                     "cudaMemcpyAsync from a staging buffer", detail::earlier_kernel_remedy, bytes);
  detail::check_cuda(cudaEventRecord(static_cast<cudaEvent_t>(source.uploaded_), stream), "cudaEventRecord",
                     detail::earlier_kernel_remedy);
}

inline void Cuda::download(Queue& queue, void* target, const void* source, std::size_t bytes) {
  if (bytes > 0)
    detail::check_cuda(
        cudaMemcpyAsync(target, source, bytes, cudaMemcpyDeviceToHost, static_cast<cudaStream_t>(queue.stream())),
        "cudaMemcpyAsync to the host", detail::earlier_kernel_remedy, bytes);
  synchronize(queue);
}

inline void Cuda::synchronize(Queue& queue) {
  detail::check_cuda(cudaStreamSynchronize(static_cast<cudaStream_t>(queue.stream())), "cudaStreamSynchronize",
                     detail::earlier_kernel_remedy);
}

}  // namespace ashlar::inline v0

#endif
