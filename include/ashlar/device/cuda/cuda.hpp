// NVIDIA GPUs as a device. Only declarations: no CUDA header is needed to name Cuda, to hold its views or to call an
// operation on it. What is declared here is defined in device/cuda/runtime.hpp, over the CUDA Toolkit
// (ASHLAR_WITH_CUDA) or over the emulator (ASHLAR_CUDA_EMULATED). Read next: device/cuda/simt.cuh.
#pragma once

#include "ashlar/core/platform.hpp"
#include "ashlar/device/device.hpp"

namespace ashlar::inline v0 {

struct Cuda {
  static constexpr const char* name = "cuda";
  static constexpr bool has_storage = true;

  /// A stream with what operations on it need: a cuBLASLt handle and its workspace. Created for the current GPU;
  /// owns them; not copyable. Work on it is asynchronous.
  class Queue {
   public:
    Queue();
    ~Queue();
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;

    void* stream() const { return stream_; }  // cudaStream_t
    void* blas() const { return blas_; }      // cublasLtHandle_t
    void* workspace() const { return workspace_; }
    static constexpr std::size_t workspace_bytes = std::size_t{32} << 20;

   private:
    void* stream_ = nullptr;
    void* blas_ = nullptr;
    void* workspace_ = nullptr;
  };

  /// Page-locked host memory, which the GPU reads by itself, and the event after the last upload from it.
  class Staging {
   public:
    explicit Staging(std::size_t bytes);
    ~Staging();
    Staging(const Staging&) = delete;
    Staging& operator=(const Staging&) = delete;

    std::byte* fill();

   private:
    friend struct Cuda;
    std::byte* data_ = nullptr;
    void* uploaded_ = nullptr;  // cudaEvent_t
  };

  /// How many GPUs this process may use.
  static int count();
  /// The GPU that this thread uses from now on, one of 0 .. count() - 1; a new thread's is 0. Queues and memory made
  /// before stay where they are.
  static void select(int gpu);
  static int selected();

  static void* allocate(std::size_t bytes);
  static void deallocate(void* p, std::size_t bytes);
  static void fill_zero(Queue& queue, void* p, std::size_t bytes);
  static void copy(Queue& queue, void* target, const void* source, std::size_t bytes);
  static void upload(Queue& queue, void* target, const void* source, std::size_t bytes);
  static void upload(Queue& queue, void* target, Staging& source, std::size_t offset, std::size_t bytes);
  static void download(Queue& queue, void* target, const void* source, std::size_t bytes);
  static void synchronize(Queue& queue);
};
static_assert(Device<Cuda>);

}  // namespace ashlar::inline v0
