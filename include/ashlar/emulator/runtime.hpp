// The Cuda device on emulated memory: what device/cuda/runtime.hpp includes under ASHLAR_CUDA_EMULATED. Everything is
// done when called. Read next: emulator/global_memory.hpp.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "ashlar/device/cuda/cuda.hpp"
#include "ashlar/emulator/global_memory.hpp"

namespace ashlar::inline v0 {

namespace simt {

/// What a host thread has asked of the device that makes a host wait on a GPU: steps of a training run do none of it.
struct HostWaits {
  int allocations = 0, frees = 0, synchronizations = 0;
  int uploads = 0;    // from memory that is not page-locked
  int downloads = 0;  // those also synchronize

  int count() const { return allocations + frees + synchronizations + uploads + downloads; }
};

/// Those of the calling thread, since it began.
inline HostWaits& host_waits() {
  thread_local HostWaits waits;
  return waits;
}

}  // namespace simt

namespace simt::detail {

inline constexpr std::size_t workspace_bytes = std::size_t{1} << 18;

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

/// On a GPU the bytes are read at some time between the upload and the next fill(): what they were then must be what
/// they are now.
struct StagedUpload {
  std::size_t offset;
  std::vector<std::byte> bytes;
};

}  // namespace simt::detail

inline Cuda::Staging::Staging(std::size_t bytes)
    : data_(new std::byte[bytes]), uploaded_(new std::vector<simt::detail::StagedUpload>) {}
inline Cuda::Staging::~Staging() {
  delete static_cast<std::vector<simt::detail::StagedUpload>*>(uploaded_);
  delete[] data_;
}
/// Waits for nothing here, and on a GPU for what is most often done: it is none of HostWaits.
inline std::byte* Cuda::Staging::fill() {
  auto& uploads = *static_cast<std::vector<simt::detail::StagedUpload>*>(uploaded_);
  for (const auto& upload : uploads)
    if (std::memcmp(data_ + upload.offset, upload.bytes.data(), upload.bytes.size()) != 0)
      throw simt::Fault(
          "staging memory was written to after an upload from it and before fill(), which waits until the device has "
          "read it");
  uploads.clear();
  return data_;
}

inline int Cuda::count() {
  return 1;
}
inline void Cuda::select(int) {}
inline int Cuda::selected() {
  return 0;
}

/// Kernels keep counters in the workspace; nothing else is in it here.
inline Cuda::Queue::Queue() : workspace_(simt::detail::GlobalMemory::instance().allocate(256)) {}
inline Cuda::Queue::~Queue() {
  simt::detail::GlobalMemory::instance().deallocate(workspace_, 256);
}

inline void* Cuda::allocate(std::size_t bytes) {
  ++simt::host_waits().allocations;
  return simt::detail::GlobalMemory::instance().allocate(bytes);
}
inline void Cuda::deallocate(void* p, std::size_t bytes) {
  if (p) ++simt::host_waits().frees;
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
  if (bytes) ++simt::host_waits().uploads;
  simt::check_device_memory(target, bytes, simt::Access::write, "Cuda::upload");
  if (bytes) std::memcpy(target, source, bytes);
}
inline void Cuda::upload(Queue&, void* target, Staging& source, std::size_t offset, std::size_t bytes) {
  if (bytes == 0) return;
  simt::check_device_memory(target, bytes, simt::Access::write, "Cuda::upload");
  const std::byte* const from = source.data_ + offset;
  std::memcpy(target, from, bytes);
  static_cast<std::vector<simt::detail::StagedUpload>*>(source.uploaded_)->push_back({offset, {from, from + bytes}});
}
/// Bytes that were never written come down as the poison they are: a buffer may have holes.
inline void Cuda::download(Queue&, void* target, const void* source, std::size_t bytes) {
  ++simt::host_waits().downloads;
  if (bytes == 0) return;
  const auto from = simt::detail::GlobalMemory::instance().find(source);
  if (!from || !from->contains(source, bytes))
    throw simt::Fault(
        concat("Cuda::download of ", bytes, " bytes from ", simt::detail::GlobalMemory::instance().describe(source)));
  std::memcpy(target, source, bytes);
}
inline void Cuda::synchronize(Queue&) {
  ++simt::host_waits().synchronizations;
}

}  // namespace ashlar::inline v0
