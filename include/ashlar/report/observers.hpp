// Two observers: the finder of the first tensor that is not finite, and a trace of every tensor's size and magnitude.
// Attach with Trainer::observe. Read next: nn/observer.hpp.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "ashlar/nn/observer.hpp"
#include "ashlar/ops/elementwise/elementwise.hpp"
#include "ashlar/ops/gradient_norm/gradient_norm.hpp"
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

/// Keeps a record of every tensor it sees, in order: what the compare of two runs is made of.
template <Device D>
class TensorTrace final : public Observer<D> {
 public:
  struct Record {
    std::string name;
    Phase phase;
    DType dtype;
    Shape shape;
    double norm;  // L2; 0 for integers
  };

  explicit TensorTrace(Memory<D>& memory) : memory_(&memory), sum_(memory, {1}) {}

  void see(typename D::Queue& queue, const ObservedTensor& t) override {
    sum_.zero(queue);
    detail::with_rows<D>(t, [&]<class T>(TensorView<const T, D> rows) { add_squares(queue, rows); });
    double squares = 0;
    D::download(queue, &squares, sum_.data(), sizeof squares);
    records_.push_back({std::string(t.name), t.phase, t.dtype, t.shape, std::sqrt(squares)});
  }
  const std::vector<Record>& records() const { return records_; }
  void clear() { records_.clear(); }

 private:
  template <class T>
  void add_squares(typename D::Queue& queue, TensorView<const T, D> rows) {
    const index_t n = ops::sum_of_squares_workspace<D>(rows.count());
    if (n > workspace_.count()) workspace_ = Tensor<double, D>(*memory_, {n});
    if constexpr (std::is_same_v<T, bf16>) {
      Tensor<float, D> wide(*memory_, {rows.count()});
      ops::cast<bf16, float>(queue, rows, wide.view());
      ops::sum_of_squares<float>(queue, TensorView<const float, D>(wide.view()), sum_.view(), workspace_.view());
      D::synchronize(queue);
    } else {
      ops::sum_of_squares<T>(queue, rows, sum_.view(), workspace_.view());
    }
  }

  Memory<D>* memory_;
  Tensor<double, D> sum_, workspace_;
  std::vector<Record> records_;
};

}  // namespace ashlar::inline v0
