// Definitions of cpu.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/ops/permutation/cpu.hpp"

namespace ashlar::inline v0::ops::cpu {

ASHLAR_ONCE void sort_by_expert(TensorView<const std::int32_t, Cpu> experts, TensorView<std::int32_t, Cpu> position,
                                TensorView<std::int32_t, Cpu> source, TensorView<std::int32_t, Cpu> offsets) {
  const index_t slots = experts.count(), n = offsets.count() - 1;
  const std::int32_t* const id = experts.data();
  std::int32_t* const next = offsets.data();
  const auto valid = [=](index_t i) { return id[i] >= 0 && id[i] < n; };
  std::fill_n(next, n + 1, 0);
  for (index_t i = 0; i < slots; ++i)
    if (valid(i)) ++next[id[i]];
  detail::exclusive_scan(offsets);
  for (index_t i = 0; i < slots; ++i) {
    position.data()[i] = valid(i) ? next[id[i]]++ : -1;
    if (position.data()[i] >= 0) source.data()[position.data()[i]] = static_cast<std::int32_t>(i);
  }
  detail::rewind(offsets);
  std::fill(source.data() + next[n], source.data() + slots, -1);
}

ASHLAR_ONCE void sort_received(TensorView<const std::int32_t, Cpu> counts, TensorView<std::int32_t, Cpu> position,
                               TensorView<std::int32_t, Cpu> source, TensorView<std::int32_t, Cpu> offsets) {
  const index_t peers = counts.rows(), n = counts.cols(), capacity = position.count();
  std::int32_t* const next = offsets.data();
  std::fill_n(next, n + 1, 0);
  for (index_t p = 0; p < peers; ++p)
    for (index_t e = 0; e < n; ++e) next[e] += counts.row(p)[e];
  detail::exclusive_scan(offsets);
  check(next[n] <= capacity, "sort_received: counts add up to more rows than position and source have");
  std::int32_t row = 0;
  for (index_t p = 0; p < peers; ++p)
    for (index_t e = 0; e < n; ++e)
      for (std::int32_t j = 0; j < counts.row(p)[e]; ++j, ++row, ++next[e]) {
        position.data()[row] = next[e];
        source.data()[next[e]] = row;
      }
  detail::rewind(offsets);
  std::fill(position.data() + row, position.data() + capacity, -1);
  std::fill(source.data() + row, source.data() + capacity, -1);
}

}  // namespace ashlar::inline v0::ops::cpu
