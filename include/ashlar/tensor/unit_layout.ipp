// Definitions of unit_layout.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/tensor/unit_layout.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE UnitLayout::UnitLayout(std::vector<Entry> entries, int shards)
    : entries_(std::move(entries)), shards_(shards) {
  std::stable_partition(entries_.begin(), entries_.end(), [](const Entry& e) { return !e.partial_over_tp; });
  index_t at = 0;
  for (Entry& e : entries_) {
    if (e.partial_over_tp && partial_begin_ < 0) partial_begin_ = at;
    e.begin = at;
    at = round_up(at + e.local_shape.count(), alignment);
  }
  size_ = round_up(at, alignment * shards);
  if (partial_begin_ < 0) partial_begin_ = size_;
}

ASHLAR_ONCE UnitLayout UnitLayout::of_box(std::string name, const Shape& shape, const TensorBox& box) {
  ParameterInfo info;
  info.name = std::move(name);
  info.shape = shape;
  return UnitLayout({{std::move(info), box.extent, box.offset, 0, false}}, 1);
}

}  // namespace ashlar::inline v0
