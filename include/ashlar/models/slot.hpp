// What a stage holds for each micro-batch in flight: its arena and what its parts saved. Slots are reused, so that a
// steady step allocates nothing.
#pragma once

#include <memory>
#include <vector>

#include "ashlar/nn/context.hpp"

namespace ashlar::inline v0 {

/// Saved: what the stage's parts saved of the micro-batch.
template <class E, class Saved>
struct MicroBatchSlot {
  using D = typename E::Device;
  // What has to happen before the memory is free; a set of bits.
  static constexpr unsigned computed = 1, output_sent = 2, gradient_sent = 4;

  explicit MicroBatchSlot(Memory<D>& memory) : arena(memory) {}

  Arena<D> arena;
  Saved saved;
  DeferredGradients deferred;
  unsigned done = 0;
};

/// The slots of a stage: micro-batch m has one from its first use to its release.
template <class E, class Saved>
class MicroBatchSlots {
 public:
  using Slot = MicroBatchSlot<E, Saved>;

  /// A new step: whatever an interrupted one left is dropped.
  void reset(int micro_batches) {
    for (auto& slot : used_)
      if (slot) free_.push_back(std::move(slot));
    used_.clear();
    used_.resize(static_cast<std::size_t>(micro_batches));
  }
  Slot& at(int m, Memory<typename E::Device>& memory) {
    auto& slot = used_[static_cast<std::size_t>(m)];
    if (!slot) {
      if (free_.empty()) {
        slot = std::make_unique<Slot>(memory);
      } else {
        slot = std::move(free_.back());
        free_.pop_back();
      }
      slot->arena.clear();
      slot->done = 0;
      slot->deferred = {};
    }
    return *slot;
  }
  /// Notes that `what` has happened; whether that makes `all`.
  bool finished(int m, unsigned what, unsigned all) {
    auto& slot = used_[static_cast<std::size_t>(m)];
    return slot && (slot->done |= what) == all;
  }
  void release(int m) {
    auto& slot = used_[static_cast<std::size_t>(m)];
    if (slot) free_.push_back(std::move(slot));
  }

 private:
  std::vector<std::unique_ptr<Slot>> used_, free_;
};

}  // namespace ashlar::inline v0
