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
template <class D>
concept Device = requires(typename D::Queue& queue, void* p, const void* source, std::size_t bytes) {
  { D::name } -> std::convertible_to<const char*>;  // "cpu", "cuda", "meta"
  { D::has_storage } -> std::convertible_to<bool>;  // false on Meta: pointers are null, nothing is read
  { D::allocate(bytes) } -> std::same_as<void*>;
  D::deallocate(p, bytes);
  D::fill_zero(queue, p, bytes);         // asynchronous on Cuda
  D::copy(queue, p, source, bytes);      // device to device
  D::upload(queue, p, source, bytes);    // host to device; source may be reused on return
  D::download(queue, p, source, bytes);  // device to host; waits for the queue
  D::synchronize(queue);
};

}  // namespace ashlar::inline v0
