// Two observers: the finder of the first tensor that is not finite, and the recorder of all. Attach with
// Trainer::observe. Read next: nn/observer.hpp, report/compare.hpp.
#pragma once

#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "ashlar/nn/observer.hpp"
#include "ashlar/ops/elementwise/elementwise.hpp"
#include "ashlar/tensor/tensor.hpp"

namespace ashlar::inline v0 {

namespace detail {
/// Calls f with a typed view of the observed tensor's rows, if it holds floating-point values.
template <class D, class F>
void with_rows(const ObservedTensor& t, F&& f) {
  const auto visit = [&]<class T>(const T* data) {
    const TensorView<const T, D> view(data, t.shape, t.row_stride);
    if (view.contiguous()) return f(view);
    for (index_t r = 0; r < view.rows(); ++r) f(TensorView<const T, D>(view.row(r), {view.cols()}));
  };
  if (t.dtype == DType::f32) visit(static_cast<const float*>(t.data));
  if (t.dtype == DType::f64) visit(static_cast<const double*>(t.data));
  if (t.dtype == DType::bf16) visit(static_cast<const bf16*>(t.data));
}
}  // namespace detail

/// Throws Error at the first tensor with a NaN or an infinity, naming it. Waits for the device at each tensor.
template <Device D>
class NonFiniteFinder final : public Observer<D> {
 public:
  explicit NonFiniteFinder(Memory<D>& memory) : count_(memory, {1}) {}

  void see(typename D::Queue& queue, const ObservedTensor& t) override {
    count_.zero(queue);
    detail::with_rows<D>(t, [&](auto rows) { ops::count_non_finite(queue, rows, count_.view()); });
    std::int32_t n = 0;
    D::download(queue, &n, count_.data(), sizeof n);
    if (n > 0)
      fail(concat(t.name, t.phase == Phase::forward ? "" : " (gradient)", ", ", to_string(t.dtype), " ",
                  to_string(t.shape), ", has ", n,
                  " values that are not finite; it is the first such tensor of the step"));
  }

 private:
  Tensor<std::int32_t, D> count_;
};

/// A tensor that was observed, on the host.
struct RecordedTensor {
  std::string name;
  Phase phase = Phase::forward;
  DType dtype = DType::f32;
  Shape whole;    // of the step's tensor
  TensorBox box;  // this one's place in it
  std::optional<Axis> sum_over;
  bool copy = false;
  index_t micro_batch = 0;
  int first_layer = 0;
  int order = 0;                  // of its name among the phase's of the pipeline stage
  std::vector<std::byte> values;  // row-major
};

/// Keeps every tensor of floating point that it sees: what two runs are compared by.
template <Device D>
class TensorRecorder final : public Observer<D> {
 public:
  void see(typename D::Queue& queue, const ObservedTensor& t) override {
    if (t.dtype != DType::f32 && t.dtype != DType::f64 && t.dtype != DType::bf16) return;
    auto& names = orders_[{t.phase, t.first_layer}];
    const int order = names.try_emplace(std::string(t.name), static_cast<int>(names.size())).first->second;
    records_.push_back({std::string(t.name), t.phase, t.dtype, t.whole, t.box, t.sum_over, t.copy, t.micro_batch,
                        t.first_layer, order, packed(queue, t)});
  }
  std::vector<RecordedTensor>& records() { return records_; }
  void clear() { records_.clear(); }

 private:
  // The rows without what lies between them.
  static std::vector<std::byte> packed(typename D::Queue& queue, const ObservedTensor& t) {
    const std::size_t width = size_of(t.dtype), columns = static_cast<std::size_t>(t.shape[-1]) * width,
                      stride = static_cast<std::size_t>(t.row_stride) * width;
    if (t.shape.count() == 0) return {};
    const std::size_t rows = static_cast<std::size_t>(t.shape.count()) * width / columns;
    std::vector<std::byte> values((rows - 1) * stride + columns);
    D::download(queue, values.data(), t.data, values.size());
    for (std::size_t r = 1; r < rows && stride > columns; ++r)
      std::memmove(values.data() + r * columns, values.data() + r * stride, columns);
    values.resize(rows * columns);
    return values;
  }

  std::map<std::pair<Phase, int>, std::map<std::string, int>> orders_;
  std::vector<RecordedTensor> records_;
};

}  // namespace ashlar::inline v0
