// The host as a device: OpenMP threads, synchronous. Read next: device/meta.hpp.
#pragma once

#include <cstdlib>
#include <cstring>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "ashlar/core/error.hpp"
#include "ashlar/device/device.hpp"

namespace ashlar::inline v0 {

struct Cpu {
  static constexpr const char* name = "cpu";
  static constexpr bool has_storage = true;

  /// Operations on the host run when called: the queue has no state.
  struct Queue {};

  /// Uploads are done when they return: nothing to wait for.
  class Staging {
   public:
    explicit Staging(std::size_t bytes) : bytes_(bytes) {}
    std::byte* fill() { return bytes_.data(); }
    const std::byte* data() const { return bytes_.data(); }

   private:
    std::vector<std::byte> bytes_;
  };

  static void* allocate(std::size_t bytes) {
    void* p = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!p && bytes) fail(concat("out of memory: the host can't give ", bytes, " bytes; lower the batch or the model"));
    return p;
  }
  static void deallocate(void* p, std::size_t) { std::free(p); }
#if defined(__linux__)
  /// Addresses without memory behind them: pages come as they are touched. Null where the system refuses. An arena in
  /// one such range has no gaps, so what it touches is what it counts.
  static void* reserve(std::size_t bytes) {
    void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return nullptr;
    madvise(p, bytes, MADV_HUGEPAGE);  // a hint: hundreds of times fewer faults at the first touch
    return p;
  }
  static void release(void* p, std::size_t bytes) {
    munmap(p, bytes);
  }
#endif
  static void fill_zero(Queue&, void* p, std::size_t bytes) {
    if (bytes) std::memset(p, 0, bytes);
  }
  static void copy(Queue&, void* target, const void* source, std::size_t bytes) {
    if (bytes) std::memcpy(target, source, bytes);
  }
  static void upload(Queue& q, void* target, const void* source, std::size_t bytes) {
    copy(q, target, source, bytes);
  }
  static void upload(Queue& q, void* target, Staging& source, std::size_t offset, std::size_t bytes) {
    copy(q, target, source.data() + offset, bytes);
  }
  static void download(Queue& q, void* target, const void* source, std::size_t bytes) {
    copy(q, target, source, bytes);
  }
  static void synchronize(Queue&) {}
};
static_assert(Device<Cpu>);

}  // namespace ashlar::inline v0
