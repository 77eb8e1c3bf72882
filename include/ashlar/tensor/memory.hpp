// Memory: where tensors and arenas get their bytes, and the account of who holds how many. Real runs and plans keep the
// same account, so a plan on Meta can be compared with a run. Read next: tensor/tensor.hpp, tensor/arena.hpp.
#pragma once

#include <algorithm>
#include <cstddef>

#include "ashlar/core/dtype.hpp"
#include "ashlar/device/device.hpp"

namespace ashlar::inline v0 {

/// The account of one model on one device. Sizes are bytes. Not thread-safe: one rank, one Memory.
template <Device D>
class Memory {
 public:
  void* allocate(std::size_t bytes) {
    void* p = bytes ? D::allocate(bytes) : nullptr;
    if (p) peak_allocated_ = std::max(peak_allocated_, allocated_ += bytes);
    return p;
  }
  void deallocate(void* p, std::size_t bytes) {
    if (!p) return;
    D::deallocate(p, bytes);
    allocated_ -= bytes;
  }

  /// What D has given through this account: its chunks whole, and nothing on Meta. A range of addresses that an arena
  /// has reserved is not in it.
  std::size_t allocated() const { return allocated_; }
  /// The most that it was at any time.
  std::size_t peak_allocated() const { return peak_allocated_; }

  /// Bytes of an element. What a MetaFloat is, is a plan's to say, before anything is allocated.
  template <class T>
  std::size_t width() const {
    if constexpr (std::is_same_v<std::remove_const_t<T>, MetaFloat>)
      return meta_float_bytes_;
    else
      return sizeof(T);
  }
  void set_meta_float(DType type) { meta_float_bytes_ = size_of(type); }

  /// Bytes held for the model's life: parameters, gradients, optimizer states, buffers of collectives.
  std::size_t persistent() const { return persistent_; }
  /// The sum over arenas of the most that each has held at once: activations and workspaces.
  std::size_t arenas() const { return arenas_; }
  /// The high-water mark that a plan promises and a run must keep.
  std::size_t high_water() const { return persistent_ + arenas_; }

  void add_persistent(std::size_t bytes) { persistent_ += bytes; }
  void remove_persistent(std::size_t bytes) { persistent_ -= bytes; }
  void grow_arena(std::size_t bytes) { arenas_ += bytes; }
  void remove_arena(std::size_t bytes) { arenas_ -= bytes; }

 private:
  std::size_t persistent_ = 0;
  std::size_t arenas_ = 0;
  std::size_t allocated_ = 0, peak_allocated_ = 0;
  std::size_t meta_float_bytes_ = 4;
};

}  // namespace ashlar::inline v0
