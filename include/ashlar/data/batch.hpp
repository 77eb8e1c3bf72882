// Batches: what a step is trained on, a struct of arrays of rows. The same struct holds them on the host, on a device,
// and as a micro-batch's views; what walks it (upload, micro-batches) knows no model. Read next: data/loader.hpp.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ashlar/core/tensor_view.hpp"
#include "ashlar/tensor/tensor.hpp"

namespace ashlar::inline v0 {

/// How an array of a batch is held: HostArray<T> owns it in host memory, Owned<T> in a device's, and View<T> looks at
/// some rows of that.
template <class T>
using HostArray = std::vector<T>;
template <class D>
struct DeviceArray {
  template <class T>
  using Owned = Tensor<T, D>;
  template <class T>
  using View = TensorView<const T, D>;
};

/// Rows of text. What walks the arrays of several batches at once is given one row's elements, then the arrays.
template <template <class> class Array>
struct TokenBatch {
  index_t rows = 0, seq_len = 0;
  Array<std::int32_t> tokens, targets, document_start;  // [rows, seq_len]; a target below 0 does not count
  /// [rows, seq_len], what each target counts in the mean loss; may be empty: then 1 each.
  Array<float> weights = {};

  /// How many of the arrays, from the first, every batch has.
  static constexpr int required = 3;
  template <class F, class... Batches>
  static void for_each_array(const TokenBatch& shape, F&& f, Batches&... batches) {
    f(shape.seq_len, batches.tokens...);
    f(shape.seq_len, batches.targets...);
    f(shape.seq_len, batches.document_start...);
    f(shape.seq_len, batches.weights...);
  }

  /// What two batches that a trainer takes for each other have alike, and the same in words.
  std::pair<index_t, index_t> extent() const { return {rows, seq_len}; }
  std::string description() const { return concat(rows, " rows of ", seq_len, " tokens"); }
  /// What the mean loss is divided by: the targets that count, or the sum of their weights. On the host.
  double counted() const {
    double n = 0;
    for (std::size_t i = 0; i < targets.size(); ++i)
      if (targets[i] >= 0) n += weights.empty() ? 1 : static_cast<double>(weights[i]);
    return n;
  }
};
using HostBatch = TokenBatch<HostArray>;

}  // namespace ashlar::inline v0
