// Merging: the weights of a checkpoint together with those that it left in its base, and adapters added to the weights
// that they belong to. Read next: nn/low_rank.hpp (what an adapter computes), checkpoint/consolidate.hpp.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ashlar/checkpoint/tensor_index.hpp"
#include "ashlar/core/platform.hpp"

namespace ashlar::inline v0 {

/// Weights and buffers as a plain recipe has them. What it refers to outlives it.
class MergedWeights {
 public:
  /// `base`: where the frozen weights are, or null. An adapter of rank r adds alpha / r B A to its weight. Throws Error
  /// that names the tensor where an adapter has no weight or another shape.
  MergedWeights(TensorIndex& own, TensorIndex* base, double alpha);

  /// Where each tensor is; states of the optimizer and adapters are not among them.
  const std::map<std::string, TensorIndex*>& tensors() const { return tensors_; }

  /// As TensorIndex::read; a weight with an adapter is added up in double and rounded once.
  void read(const std::string& name, const TensorBox& box, DType type, std::byte* out);

 private:
  std::vector<double> read_doubles(TensorIndex& index, const std::string& name, const TensorBox& box);

  TensorIndex& own_;
  double alpha_;
  std::map<std::string, TensorIndex*> tensors_;
};

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/checkpoint/merge.ipp"
#endif
