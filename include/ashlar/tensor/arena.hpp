// Arena: a stack of activations. Forward pushes, backward pops; nothing is freed one by one and nothing fragments.
// Used through nn/context.hpp.
#pragma once

#include <algorithm>
#include <concepts>
#include <vector>

#include "ashlar/core/tensor_view.hpp"
#include "ashlar/tensor/memory.hpp"

namespace ashlar::inline v0 {

/// Grows in chunks that are kept until the arena dies, so a steady step allocates nothing. Elements are not
/// initialised. Addresses are stable until released. Not thread-safe.
template <Device D>
class Arena {
 public:
  static constexpr std::size_t alignment = 64;

  /// `chunk_bytes`: how much to ask of the device at once, at least.
  explicit Arena(Memory<D>& memory, std::size_t chunk_bytes = std::size_t{2} << 20)
      : memory_(&memory), chunk_bytes_(chunk_bytes) {}
  Arena(Arena&& other) noexcept
      : memory_(other.memory_),
        chunk_bytes_(other.chunk_bytes_),
        chunks_(std::move(other.chunks_)),
        top_(other.top_),
        high_water_(other.high_water_) {
    other.chunks_.clear();
    other.high_water_ = 0;
  }
  Arena& operator=(Arena&&) = delete;
  ~Arena() {
    for (const Chunk& c : chunks_) {
      if constexpr (can_reserve)
        if (c.reserved) {
          D::release(c.data, c.bytes);
          continue;
        }
      memory_->deallocate(c.data, c.bytes);
    }
    memory_->remove_arena(high_water_);
  }

  /// Where the stack stands; release(mark()) pops what was pushed since.
  struct Mark {
    std::size_t chunk = 0, offset = 0, used = 0;
  };
  Mark mark() const { return top_; }
  void release(const Mark& mark) { top_ = mark; }
  void clear() { top_ = {}; }

  template <class T>
  TensorView<T, D> push(const Shape& shape) {
    const std::size_t bytes = (static_cast<std::size_t>(shape.count()) * memory_->template width<T>() + alignment - 1) /
                              alignment * alignment;
    void* p = push_bytes(bytes);
    top_.used += bytes;
    if (top_.used > high_water_) {
      memory_->grow_arena(top_.used - high_water_);
      high_water_ = top_.used;
    }
    return {static_cast<T*>(p), shape};
  }

  const Memory<D>& memory() const { return *memory_; }
  std::size_t used() const { return top_.used; }
  std::size_t high_water() const { return high_water_; }

 private:
  struct Chunk {
    void* data;
    std::size_t bytes;
    bool reserved = false;
  };
  static constexpr bool can_reserve = requires(void* p, std::size_t n) {
    { D::reserve(n) } -> std::same_as<void*>;
    D::release(p, n);
  };
  static constexpr std::size_t reserved_bytes = std::size_t{64} << 30;

  void* push_bytes(std::size_t bytes) {
    if constexpr (!D::has_storage) {
      return nullptr;
    } else {
      while (top_.chunk < chunks_.size() && top_.offset + bytes > chunks_[top_.chunk].bytes) {
        ++top_.chunk;
        top_.offset = 0;
      }
      if (top_.chunk == chunks_.size()) {
        add_chunk(bytes);
      }
      void* p = static_cast<char*>(chunks_[top_.chunk].data) + top_.offset;
      top_.offset += bytes;
      return p;
    }
  }

  // The first chunk is a large range of addresses, on devices that have them; what it can't hold goes into others.
  void add_chunk(std::size_t bytes) {
    if constexpr (can_reserve) {
      if (chunks_.empty() && bytes <= reserved_bytes)
        if (void* p = D::reserve(reserved_bytes)) {
          chunks_.push_back({p, reserved_bytes, true});
          return;
        }
    }
    const std::size_t size = std::max(bytes, chunk_bytes_);
    chunks_.push_back({memory_->allocate(size), size});
  }

  Memory<D>* memory_;
  std::size_t chunk_bytes_;
  std::vector<Chunk> chunks_;
  Mark top_;
  std::size_t high_water_ = 0;
};

/// Pops an arena at the end of a scope.
template <Device D>
class ArenaScope {
 public:
  explicit ArenaScope(Arena<D>& arena) : arena_(arena), mark_(arena.mark()) {}
  ~ArenaScope() { arena_.release(mark_); }
  ArenaScope(const ArenaScope&) = delete;
  ArenaScope& operator=(const ArenaScope&) = delete;

 private:
  Arena<D>& arena_;
  typename Arena<D>::Mark mark_;
};

}  // namespace ashlar::inline v0
