// What a device is: a place where tensors live and operations run. Three exist: Cpu, Cuda and Meta (no storage,
// counts). Read next: device/cpu.hpp (the simplest), then ops/rms_norm/rms_norm.hpp (how an operation picks its
// device).
#pragma once

#include <concepts>
#include <cstddef>

namespace ashlar::inline v0 {

/// A Device is a tag type with static memory functions and a Queue, the run-time object that operations are given.
/// Work put on one queue happens in order; on Cuda the host runs ahead, and `synchronize` waits for it.
/// All sizes are bytes. `allocate` returns memory aligned to 64 bytes and throws Error when there is none.
/// Memory from `allocate` holds arbitrary bytes.
///
/// Staging(bytes) is host memory that uploads read after they have returned, so that a host that is ahead of the device
/// does not wait for it. `fill()` waits until what was uploaded from it has been read, and gives the memory to write
/// to.
template <class D>
concept Device = requires(typename D::Queue& queue, typename D::Staging& staging, void* p, const void* source,
                          std::size_t bytes) {
  { D::name } -> std::convertible_to<const char*>;  // "cpu", "cuda", "meta"
  { D::has_storage } -> std::convertible_to<bool>;  // false on Meta: pointers are null, nothing is read
  { D::allocate(bytes) } -> std::same_as<void*>;
  D::deallocate(p, bytes);
  D::fill_zero(queue, p, bytes);         // asynchronous on Cuda
  D::copy(queue, p, source, bytes);      // device to device
  D::upload(queue, p, source, bytes);    // host to device; source may be reused on return
  D::download(queue, p, source, bytes);  // device to host; waits for the queue
  requires std::constructible_from<typename D::Staging, std::size_t>;
  { staging.fill() } -> std::same_as<std::byte*>;
  D::upload(queue, p, staging, bytes, bytes);  // bytes at an offset of the staging memory; waits for nothing
  D::synchronize(queue);
};

}  // namespace ashlar::inline v0
