// Observers see every named tensor as modules make it, and know its place in the whole step's tensor of that name. None
// is attached by default, and then none of this costs anything but a test of a null pointer. Read next:
// report/observers.hpp.
#pragma once

#include <optional>
#include <string_view>

#include "ashlar/core/dtype.hpp"
#include "ashlar/core/strategy.hpp"
#include "ashlar/tensor/tensor_box.hpp"

namespace ashlar::inline v0 {

enum class Phase { forward, backward };

/// How a tensor [n, d] of a rank lies in the micro-batch's: whole, but for the dimensions that are cut into equal parts
/// over the ranks of an axis. Where sum_over is given, the micro-batch's tensor is the sum over the axis.
struct Place {
  std::optional<Axis> rows_over = {}, columns_over = {}, sum_over = {};
  /// Of a chunk: its first row, and how many rows all chunks have together. 0: it is no chunk.
  index_t first_row = 0, rows_of_chunks = 0;
};

/// A tensor as it passes by: contiguous rows of device memory, valid during the call. It is a box of the tensor of that
/// name which the whole step has: the rows of one micro-batch after another, over all ranks that share the batch. So it
/// has the same place whatever the layout, and what is known of checkpoints' boxes holds for it.
struct ObservedTensor {
  std::string_view name;  // dotted: "layers.3.attention.query"
  Phase phase = Phase::forward;
  const void* data = nullptr;
  DType dtype = DType::f32;
  Shape shape;
  index_t row_stride = 0;
  Shape whole = {};    // [rows, columns] of the step's tensor
  TensorBox box = {};  // this one's place in it
  std::optional<Axis> sum_over = {};
  bool copy = false;        // another rank of tp, of a lower number, has the same
  index_t micro_batch = 0;  // of the step's, over all ranks that share the batch
  int first_layer = 0;      // of the pipeline stage: what the order of stages goes by
};

/// Called on the rank's own thread, in program order. May throw to stop the step.
template <class D>
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void see(typename D::Queue& queue, const ObservedTensor& tensor) = 0;
};

}  // namespace ashlar::inline v0
