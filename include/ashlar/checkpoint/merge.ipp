// Definitions of merge.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/checkpoint/merge.hpp"
#include "ashlar/checkpoint/state.hpp"
#include "ashlar/nn/adapter_name.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE MergedWeights::MergedWeights(TensorIndex& own, TensorIndex* base, double alpha) : own_(own), alpha_(alpha) {
  for (TensorIndex* index : {&own, base}) {
    if (!index) continue;
    for (const auto& [name, tensor] : index->tensors())
      if (!is_optimizer_state(name) && !is_adapter(name)) tensors_.emplace(name, index);
  }
  for (const auto& [name, a] : own.tensors()) {
    if (is_optimizer_state(name) || !name.ends_with(adapter_a)) continue;
    const std::string weight = name.substr(0, name.size() - adapter_a.size()) + ".weight";
    const auto found = tensors_.find(weight);
    if (found == tensors_.end()) fail(concat("adapter ", name, " has no weight ", weight, " in its base"));
    const Shape &w = found->second->find(weight).shape, &b = own.find(adapter_of(weight, adapter_b)).shape;
    if (w.rank() != 2 || a.shape.rank() != 2 || b != Shape{w[0], a.shape[0]} || a.shape[1] != w[1])
      fail(concat("adapter ", name, " is ", a.shape, " and its lora_B ", b, ", which does not fit the weight's ", w,
                  "; is --checkpoint.base_path the base that it was trained on?"));
  }
}

ASHLAR_ONCE void MergedWeights::read(const std::string& name, const TensorBox& box, DType type, std::byte* out) {
  TensorIndex& index = *tensors_.at(name);
  const std::string a_name = adapter_of(name, adapter_a), b_name = adapter_of(name, adapter_b);
  const auto adapter = own_.tensors().find(a_name);
  if (adapter == own_.tensors().end()) return index.read(name, box, type, out);
  const index_t rank = adapter->second.shape[0], rows = box.extent[0], cols = box.extent[1];
  std::vector<double> w = read_doubles(index, name, box);
  const std::vector<double> a = read_doubles(own_, a_name, {{0, box.offset[1]}, {rank, cols}}),
                            b = read_doubles(own_, b_name, {{box.offset[0], 0}, {rows, rank}});
  for (index_t i = 0; i < rows; ++i)
    for (index_t k = 0; k < rank; ++k) {
      const double factor = alpha_ / static_cast<double>(rank) * b[static_cast<std::size_t>(i * rank + k)];
      for (index_t j = 0; j < cols; ++j)
        w[static_cast<std::size_t>(i * cols + j)] += factor * a[static_cast<std::size_t>(k * cols + j)];
    }
  cast_elements(DType::f64, reinterpret_cast<const std::byte*>(w.data()), type, out, box.count());
}

ASHLAR_ONCE std::vector<double> MergedWeights::read_doubles(TensorIndex& index, const std::string& name,
                                                            const TensorBox& box) {
  std::vector<double> values(static_cast<std::size_t>(box.count()));
  index.read(name, box, DType::f64, reinterpret_cast<std::byte*>(values.data()));
  return values;
}

}  // namespace ashlar::inline v0
