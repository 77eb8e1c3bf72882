// The Cuda device on emulated memory: what device/cuda/runtime.hpp includes under ASHLAR_CUDA_EMULATED. Everything is
// done when called. Read next: simt/global_memory.hpp.
#pragma once

#include "ashlar/device/cuda/cuda.hpp"
#include "simt/global_memory.hpp"

namespace ashlar::inline v0 {

namespace simt::detail {

/// Copies bytes with their written flags: what was never written at the source isn't at the target either.
inline void copy_device(void* target, const void* source, std::size_t bytes) {
  if (bytes == 0) return;
  auto& memory = GlobalMemory::instance();
  const auto to = memory.find(target), from = memory.find(source);
  if (!from || !from->contains(source, bytes))
    throw Fault(concat("Cuda::copy of ", bytes, " bytes from ", memory.describe(source)));
  if (!to || !to->contains(target, bytes))
    throw Fault(concat("Cuda::copy of ", bytes, " bytes to ", memory.describe(target)));
  std::memmove(target, source, bytes);
  std::memmove(to->written.data() + to->offset(target), from->written.data() + from->offset(source), bytes);
}

}  // namespace simt::detail

inline Cuda::Queue::Queue() = default;
inline Cuda::Queue::~Queue() = default;

inline void* Cuda::allocate(std::size_t bytes) {
  return simt::detail::GlobalMemory::instance().allocate(bytes);
}
inline void Cuda::deallocate(void* p, std::size_t bytes) {
  simt::detail::GlobalMemory::instance().deallocate(p, bytes);
}
inline void Cuda::fill_zero(Queue&, void* p, std::size_t bytes) {
  simt::check_device_memory(p, bytes, simt::Access::write, "Cuda::fill_zero");
  if (bytes) std::memset(p, 0, bytes);
}
inline void Cuda::copy(Queue&, void* target, const void* source, std::size_t bytes) {
  simt::detail::copy_device(target, source, bytes);
}
inline void Cuda::upload(Queue&, void* target, const void* source, std::size_t bytes) {
  simt::check_device_memory(target, bytes, simt::Access::write, "Cuda::upload");
  if (bytes) std::memcpy(target, source, bytes);
}
/// Bytes that were never written come down as the poison they are: a buffer may have holes.
inline void Cuda::download(Queue&, void* target, const void* source, std::size_t bytes) {
  if (bytes == 0) return;
  const auto from = simt::detail::GlobalMemory::instance().find(source);
  if (!from || !from->contains(source, bytes))
    throw simt::Fault(
        concat("Cuda::download of ", bytes, " bytes from ", simt::detail::GlobalMemory::instance().describe(source)));
  std::memcpy(target, source, bytes);
}
inline void Cuda::synchronize(Queue&) {}

}  // namespace ashlar::inline v0
