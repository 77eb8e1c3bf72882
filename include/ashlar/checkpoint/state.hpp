// StateRange: one flat range of a rank's state, as checkpoints see it: what it means, how to get at it, and which part
// of it this rank is to write. train/checkpointer.hpp makes them of a trainer. Read next: checkpoint/save.hpp.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "ashlar/core/dtype.hpp"
#include "ashlar/tensor/unit_layout.hpp"

namespace ashlar::inline v0 {

/// Elements begin .. begin + count of a layout's flat range, in this rank's memory.
struct StateRange {
  std::shared_ptr<const UnitLayout> layout;
  index_t begin = 0, count = 0;
  /// How many elements from `begin` on this rank writes. Of what several ranks hold alike, one writes.
  index_t owned = 0;
  DType dtype = DType::f32;
  /// Goes before the parameters' names: "optimizer.exp_avg.".
  std::string prefix;
  /// Copy the first n elements to and from host memory.
  std::function<void(void* host, index_t n)> download;
  std::function<void(const void* host, index_t n)> upload;

  std::string name(const Box& box) const { return prefix + layout->entries()[box.parameter].info.name; }
  const Shape& shape(const Box& box) const { return layout->entries()[box.parameter].info.shape; }
  std::size_t bytes(index_t n) const { return static_cast<std::size_t>(n) * size_of(dtype); }
};

/// What tensors of the optimizer are called by: "optimizer.exp_avg.layers.0.attention.wq.weight".
inline constexpr std::string_view optimizer_prefix = "optimizer.";

inline bool is_optimizer_state(std::string_view name) {
  return name.substr(0, optimizer_prefix.size()) == optimizer_prefix;
}

}  // namespace ashlar::inline v0
