// Observers see every named tensor as modules make it: the finder of non-finite values and the trace are two of them.
// None is attached by default, and then none of this costs anything but a test of a null pointer.
#pragma once

#include <string>
#include <string_view>

#include "ashlar/core/dtype.hpp"
#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0 {

enum class Phase { forward, backward };

/// A tensor as it passes by: contiguous rows of device memory, valid during the call.
struct ObservedTensor {
  std::string_view name;  // dotted: "layers.3.attention.query"
  Phase phase = Phase::forward;
  const void* data = nullptr;
  DType dtype = DType::f32;
  Shape shape;
  index_t row_stride = 0;
};

/// Called on the rank's own thread, in program order. May throw to stop the step.
template <class D>
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void see(typename D::Queue& queue, const ObservedTensor& tensor) = 0;
};

}  // namespace ashlar::inline v0
