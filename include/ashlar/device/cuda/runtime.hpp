// The memory functions and the queue of Cuda, defined: over the CUDA Toolkit (ASHLAR_WITH_CUDA) or over the emulator
// (ASHLAR_CUDA_EMULATED); without either it defines nothing. Include it in a file that runs on Cuda; naming Cuda takes
// device/cuda/cuda.hpp alone. Read next: device/cuda/launch.cuh.
#pragma once

#include "ashlar/device/cuda/cuda.hpp"

#if ASHLAR_CUDA_EMULATED
#include "simt/runtime.hpp"
#elif ASHLAR_WITH_CUDA
#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include "ashlar/core/error.hpp"

namespace ashlar::inline v0 {

namespace detail {

/// Throws Error unless `status` is success. `call` names the call, `remedy` says what to try.
inline void check_cuda(cudaError_t status, std::string_view call, std::string_view remedy) {
  if (status == cudaSuccess) [[likely]]
    return;
  fail(concat(call, ": ", std::string_view(cudaGetErrorString(status)), " (",
              std::string_view(cudaGetErrorName(status)), "); ", remedy));
}

inline constexpr std::string_view earlier_kernel_remedy =
    "if the GPU is healthy, a kernel before this call failed: run under compute-sanitizer to find it";

}  // namespace detail

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

inline void* Cuda::allocate(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  void* p = nullptr;
  detail::check_cuda(
      cudaMalloc(&p, bytes), concat("cudaMalloc of ", bytes, " bytes"),
      "lower the batch or the sequence length, shard over more GPUs, or turn on activation checkpointing");
  return p;
}

/// Waits for the GPU: work that uses the memory is done afterwards.
inline void Cuda::deallocate(void* p, std::size_t) {
  // Called by destructors, also after an error of the GPU, which the next checked call reports.
  cudaFree(p);
}

inline void Cuda::fill_zero(Queue& queue, void* p, std::size_t bytes) {
  if (bytes == 0) return;
  detail::check_cuda(cudaMemsetAsync(p, 0, bytes, static_cast<cudaStream_t>(queue.stream())),
                     concat("cudaMemsetAsync of ", bytes, " bytes"), detail::earlier_kernel_remedy);
}

inline void Cuda::copy(Queue& queue, void* target, const void* source, std::size_t bytes) {
  if (bytes == 0) return;
  detail::check_cuda(
      cudaMemcpyAsync(target, source, bytes, cudaMemcpyDeviceToDevice, static_cast<cudaStream_t>(queue.stream())),
      concat("cudaMemcpyAsync of ", bytes, " bytes on the device"), detail::earlier_kernel_remedy);
}

/// From pageable memory CUDA stages the bytes before it returns; from pinned memory it reads them later, so this waits.
inline void Cuda::upload(Queue& queue, void* target, const void* source, std::size_t bytes) {
  if (bytes == 0) return;
  const auto stream = static_cast<cudaStream_t>(queue.stream());
  detail::check_cuda(cudaMemcpyAsync(target, source, bytes, cudaMemcpyHostToDevice, stream),
                     concat("cudaMemcpyAsync of ", bytes, " bytes to the device"), detail::earlier_kernel_remedy);
  cudaPointerAttributes where{};
  detail::check_cuda(cudaPointerGetAttributes(&where, source), "cudaPointerGetAttributes",
                     detail::earlier_kernel_remedy);
  if (where.type != cudaMemoryTypeUnregistered) synchronize(queue);
}

inline void Cuda::download(Queue& queue, void* target, const void* source, std::size_t bytes) {
  if (bytes > 0)
    detail::check_cuda(
        cudaMemcpyAsync(target, source, bytes, cudaMemcpyDeviceToHost, static_cast<cudaStream_t>(queue.stream())),
        concat("cudaMemcpyAsync of ", bytes, " bytes to the host"), detail::earlier_kernel_remedy);
  synchronize(queue);
}

inline void Cuda::synchronize(Queue& queue) {
  detail::check_cuda(cudaStreamSynchronize(static_cast<cudaStream_t>(queue.stream())), "cudaStreamSynchronize",
                     detail::earlier_kernel_remedy);
}

}  // namespace ashlar::inline v0

#endif
