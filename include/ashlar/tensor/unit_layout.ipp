// Definitions of unit_layout.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include <tuple>

#include "ashlar/tensor/unit_layout.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE UnitLayout::UnitLayout(std::vector<Entry> entries, int shards) : entries_(std::move(entries)) {
  const auto place = [](const Entry& e) { return std::tuple(!e.info.trainable, e.partial_over_tp, e.info.group); };
  std::stable_sort(entries_.begin(), entries_.end(),
                   [&](const Entry& a, const Entry& b) { return place(a) < place(b); });
  index_t at = 0;
  const auto lay_out = [&](bool trainable) {
    UnitPart part{at, 0, -1, shards};
    for (Entry& e : entries_) {
      if (e.info.trainable != trainable) continue;
      if (e.partial_over_tp && part.alike_begin < 0) part.alike_begin = at;
      e.begin = at;
      at = round_up(at + e.local_shape.count(), alignment);
    }
    part.size = round_up(at - part.begin, alignment * shards);
    at = part.begin + part.size;
    if (part.alike_begin < 0) part.alike_begin = at;
    return part;
  };
  trained_ = lay_out(true);
  frozen_ = lay_out(false);
}

ASHLAR_ONCE UnitLayout UnitLayout::of_box(std::string name, const Shape& shape, const TensorBox& box) {
  ParameterInfo info;
  info.name = std::move(name);
  info.shape = shape;
  return UnitLayout({{std::move(info), box.extent, box.offset, 0, false}}, 1);
}

}  // namespace ashlar::inline v0
