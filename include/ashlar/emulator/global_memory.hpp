// Emulated device memory: a registry of live allocations with one written flag a byte, so that an access of a kernel
// can be checked for its range, its alignment and for having been written. Device pointers are ordinary host pointers.
// Read next: emulator/runtime.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "ashlar/emulator/fault.hpp"

namespace ashlar::inline v0::simt {

enum class Access : std::uint8_t { read, write, update };  // update: an atomic

inline std::string to_string(Access access) {
  return access == Access::read ? "read" : access == Access::write ? "write" : "atomic";
}

/// Whether registered host memory counts as written. Memory from Cuda::allocate doesn't.
enum class Contents : std::uint8_t { unwritten, written };

namespace detail {

/// A range that kernels may access. Written flags may be set by several host threads at once, each for its own bytes.
struct Allocation {
  Allocation(std::byte* first, std::size_t size, Contents contents, bool is_owned, bool is_constant = false)
      : base(first),
        bytes(size),
        owned(is_owned),
        constant(is_constant),
        written(size, static_cast<std::uint8_t>(contents)) {}
  ~Allocation() {
    if (owned) std::free(base - redzone);
  }
  Allocation(const Allocation&) = delete;
  Allocation& operator=(const Allocation&) = delete;

  /// Bytes that belong to nobody, on either side of an owned allocation; a multiple of cudaMalloc's alignment.
  static constexpr std::size_t redzone = 256;

  std::byte* const base;
  const std::size_t bytes;
  const bool owned;     // by the registry, which frees it
  const bool constant;  // kernels may only read it
  std::atomic<bool> live = true;
  std::atomic<std::uint64_t> writer = 0;  // the last launch that wrote to it (Launch::number)
  std::vector<std::uint8_t> written;

  std::size_t offset(const void* p) const {
    return reinterpret_cast<std::uintptr_t>(p) - reinterpret_cast<std::uintptr_t>(base);
  }
  bool contains(const void* p, std::size_t n) const { return offset(p) <= bytes && n <= bytes - offset(p); }
  bool is_written(const void* p, std::size_t n) const { return !std::memchr(written.data() + offset(p), 0, n); }
  void mark(const void* p, std::size_t n) { std::memset(written.data() + offset(p), 1, n); }
};

/// All allocations of the process, shared by its host threads (ranks of the Local communicator).
class GlobalMemory {
 public:
  static GlobalMemory& instance() {
    static GlobalMemory memory;
    return memory;
  }

  /// `bytes` of poisoned memory aligned to 256.
  void* allocate(std::size_t bytes) {
    if (bytes == 0) return nullptr;
    constexpr std::size_t zone = Allocation::redzone;
    auto* raw = static_cast<std::byte*>(std::aligned_alloc(zone, (bytes + zone - 1) / zone * zone + 2 * zone));
    if (!raw) throw Fault(concat("out of memory: the emulated device can't give ", bytes, " bytes"));
    std::memset(raw, poison, (bytes + zone - 1) / zone * zone + 2 * zone);
    add(std::make_shared<Allocation>(raw + zone, bytes, Contents::unwritten, true));
    return raw + zone;
  }

  void deallocate(void* p, std::size_t bytes) {
    if (!p && bytes == 0) return;
    const auto gone = remove(p);
    if (!gone) throw Fault(concat("deallocate(", describe(p), "), which isn't the start of a live allocation"));
    if (gone->bytes != bytes)
      throw Fault(concat("deallocate with ", bytes, " bytes of an allocation of ", gone->bytes, " bytes"));
    std::memset(gone->base, poison, gone->bytes);
    const std::lock_guard lock(mutex_);
    freed_bytes_ += gone->bytes;
    freed_.push_back(gone);
    while (freed_.size() > 1 && (freed_bytes_ > (std::size_t{64} << 20) || freed_.size() > 256)) {
      freed_bytes_ -= freed_.front()->bytes;
      freed_.pop_front();
    }
  }

  void add(std::shared_ptr<Allocation> allocation) {
    const std::lock_guard lock(mutex_);
    const auto next = live_.lower_bound(allocation->base);
    const bool overlaps = (next != live_.end() && next->first < allocation->base + allocation->bytes) ||
                          (next != live_.begin() && std::prev(next)->second->contains(allocation->base, 1));
    if (overlaps) throw Fault("host memory is registered twice, or is part of an emulated allocation");
    live_.emplace(allocation->base, std::move(allocation));
  }

  std::shared_ptr<Allocation> remove(void* p) {
    const std::lock_guard lock(mutex_);
    const auto found = live_.find(static_cast<std::byte*>(p));
    if (found == live_.end()) return nullptr;
    auto allocation = found->second;
    allocation->live = false;
    live_.erase(found);
    return allocation;
  }

  /// The live allocation that p points into (or to the end of); null if there is none.
  std::shared_ptr<Allocation> find(const void* p) const {
    const std::shared_lock lock(mutex_);
    auto next = live_.upper_bound(static_cast<std::byte*>(const_cast<void*>(p)));
    if (next == live_.begin()) return nullptr;
    --next;
    return next->second->contains(p, 0) ? next->second : nullptr;
  }

  /// What p is, for a message: where in which allocation, freed or live.
  std::string describe(const void* p) const {
    if (!p) return "null";
    const std::shared_lock lock(mutex_);
    for (const auto& freed : freed_)
      if (freed->contains(p, 1))
        return concat("offset ", freed->offset(p), " of an allocation of ", freed->bytes, " bytes that was freed");
    const Allocation* nearest = nullptr;
    std::uint64_t least = std::uint64_t{1} << 40;
    for (const auto& [base, allocation] : live_) {
      const std::size_t offset = allocation->offset(p);
      const std::uint64_t distance = offset <= allocation->bytes ? 0 : std::min(offset - allocation->bytes, 0 - offset);
      if (distance < least) least = distance, nearest = allocation.get();
    }
    if (nearest)
      return concat("offset ", static_cast<std::ptrdiff_t>(nearest->offset(p)), " of an allocation of ", nearest->bytes,
                    " bytes");
    return "an address in no emulated allocation";
  }

  std::size_t live_bytes() const {
    const std::shared_lock lock(mutex_);
    std::size_t sum = 0;
    for (const auto& [base, allocation] : live_) sum += allocation->owned ? allocation->bytes : 0;
    return sum;
  }

 private:
  static constexpr int poison = 0xff;  // NaN in every floating-point type, -1 in every signed one

  mutable std::shared_mutex mutex_;
  std::map<std::byte*, std::shared_ptr<Allocation>> live_;
  std::deque<std::shared_ptr<Allocation>> freed_;  // kept for a while, so that their addresses are not reused
  std::size_t freed_bytes_ = 0;
};

/// The allocations that a launch used last.
class AllocationCache {
 public:
  /// The allocation with all of [p, p + bytes), or null.
  Allocation* find(const void* p, std::size_t bytes) {
    for (auto& entry : entries_)
      if (entry && entry->contains(p, bytes) && entry->live.load(std::memory_order_relaxed)) return entry.get();
    auto found = GlobalMemory::instance().find(p);
    if (!found || !found->contains(p, bytes)) return nullptr;
    auto& entry = entries_[next_++ % entries_.size()];
    entry = std::move(found);
    return entry.get();
  }

 private:
  std::array<std::shared_ptr<Allocation>, 8> entries_;
  std::size_t next_ = 0;
};

/// Why [p, p + bytes) can't be accessed; empty if it can. A successful write or atomic marks the bytes as written.
inline std::string access_fault(AllocationCache& cache, const void* p, std::size_t bytes, std::size_t alignment,
                                Access access) {
  Allocation* allocation = cache.find(p, bytes);
  auto message = [&](const char* why) {
    return concat(to_string(access), " of ", bytes, " bytes at ", GlobalMemory::instance().describe(p), ": ", why);
  };
  if (!allocation) return message("outside of live device memory");
  if (reinterpret_cast<std::uintptr_t>(p) % alignment != 0) return message("the address isn't aligned to the type");
  if (access != Access::read && allocation->constant) return message("the host array is const");
  if (access != Access::write && !allocation->is_written(p, bytes)) return message("the memory was never written");
  if (access != Access::read) allocation->mark(p, bytes);
  return {};
}

}  // namespace detail

/// Lets kernels access a host array for the lifetime of the object (read it only, if its elements are const). The array
/// must outlive it.
class HostArray {
 public:
  template <class T>
  explicit HostArray(std::span<T> array, Contents contents = Contents::written)
      : p_(array.empty() ? nullptr : const_cast<std::remove_const_t<T>*>(array.data())) {
    if (p_)
      detail::GlobalMemory::instance().add(std::make_shared<detail::Allocation>(
          static_cast<std::byte*>(p_), array.size_bytes(), contents, false, std::is_const_v<T>));
  }
  template <class T>
  explicit HostArray(std::vector<T>& array, Contents contents = Contents::written)
      : HostArray(std::span<T>(array), contents) {}
  template <class T>
  explicit HostArray(const std::vector<T>& array) : HostArray(std::span<const T>(array)) {}
  ~HostArray() {
    if (p_) detail::GlobalMemory::instance().remove(p_);
  }
  HostArray(const HostArray&) = delete;
  HostArray& operator=(const HostArray&) = delete;

 private:
  void* p_;
};

/// For host models of what the GPU does outside of kernels (copies, cuBLASLt): throws Fault, naming `what`, unless all
/// of [p, p + bytes) may be accessed so; Access::write marks it as written.
inline void check_device_memory(const void* p, std::size_t bytes, Access access, std::string_view what) {
  if (bytes == 0) return;
  detail::AllocationCache cache;
  if (const auto fault = detail::access_fault(cache, p, bytes, 1, access); !fault.empty())
    throw Fault(concat(what, ": ", fault));
}

/// Bytes that Cuda::allocate gave and that were not given back, over all host threads: 0 after a test without leaks.
inline std::size_t live_device_bytes() {
  return detail::GlobalMemory::instance().live_bytes();
}

}  // namespace ashlar::inline v0::simt
