// BufferPool: a few flat buffers that units borrow in turn, for gathered parameters and for gradients under way.
#pragma once

#include <functional>
#include <vector>

#include "ashlar/tensor/tensor.hpp"

namespace ashlar::inline v0 {

/// `slots` buffers of one size. A borrower leaves word how it can be asked to give its buffer back early: a unit that
/// was prefetched but not used, or whose reduction is under way.
template <class T, Device D>
class BufferPool {
 public:
  BufferPool(Memory<D>& memory, int slots, index_t elements) : slots_(static_cast<std::size_t>(slots)) {
    for (Slot& s : slots_) s.data = Tensor<T, D>(memory, {elements});
  }

  /// A free buffer, or -1.
  int try_take(std::function<void()> give_back) {
    for (std::size_t i = 0; i < slots_.size(); ++i)
      if (!slots_[i].taken) {
        slots_[i].taken = true;
        slots_[i].give_back = std::move(give_back);
        return static_cast<int>(i);
      }
    return -1;
  }
  /// A buffer; asks borrowers that can to give theirs back, in the order of the slots after the last one taken. Throws
  /// Error when all are in use.
  int take(std::function<void()> give_back) {
    for (std::size_t k = 0; k < slots_.size(); ++k) {
      const int free = try_take(give_back);
      if (free >= 0) return next_ = free;
      Slot& s = slots_[(static_cast<std::size_t>(next_) + 1 + k) % slots_.size()];
      if (s.give_back) std::exchange(s.give_back, nullptr)();
    }
    const int free = try_take(std::move(give_back));
    if (free < 0) fail("more units are in use at once than the pool has buffers");
    return next_ = free;
  }
  /// The borrower now uses the buffer: it can't be asked for.
  void pin(int slot) { at(slot).give_back = nullptr; }
  void on_demand(int slot, std::function<void()> give_back) { at(slot).give_back = std::move(give_back); }
  void release(int slot) {
    at(slot).taken = false;
    at(slot).give_back = nullptr;
  }
  T* data(int slot) { return at(slot).data.data(); }

 private:
  struct Slot {
    Tensor<T, D> data;
    bool taken = false;
    std::function<void()> give_back;
  };
  Slot& at(int slot) { return slots_[static_cast<std::size_t>(slot)]; }

  std::vector<Slot> slots_;
  int next_ = 0;
};

}  // namespace ashlar::inline v0
