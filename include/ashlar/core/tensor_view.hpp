// TensorView: what operations take. A pointer, a shape and row strides; it owns nothing and is copied freely.
// Read next: tensor/arena.hpp for what owns the memory.
#pragma once

#include <type_traits>

#include "ashlar/core/dtype.hpp"
#include "ashlar/core/platform.hpp"
#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0 {

/// A view of elements T in the memory of Device, row-major. The last dimension is contiguous; the distance between rows
/// of the last-but-one dimension may exceed its length (row_stride); outer dimensions are packed on top of that.
/// On Meta the pointer is null and only the shape speaks.
template <class T, class Device>
class TensorView {
 public:
  TensorView() = default;
  ASHLAR_HOST_DEVICE TensorView(T* data, const Shape& shape)
      : data_(data), shape_(shape), row_stride_(shape.rank() ? shape[-1] : 1) {}
  ASHLAR_HOST_DEVICE TensorView(T* data, const Shape& shape, index_t row_stride)
      : data_(data), shape_(shape), row_stride_(row_stride) {}
  /// A view of mutable elements reads as a view of constant ones.
  template <class U>
  requires(std::is_same_v<const U, T> && !std::is_same_v<U, T>)  // NOLINTNEXTLINE: implicit
      ASHLAR_HOST_DEVICE TensorView(const TensorView<U, Device>& mutable_view)
      : data_(mutable_view.data()), shape_(mutable_view.shape()), row_stride_(mutable_view.row_stride()) {}

  ASHLAR_HOST_DEVICE T* data() const { return data_; }
  ASHLAR_HOST_DEVICE const Shape& shape() const { return shape_; }
  ASHLAR_HOST_DEVICE index_t dim(int i) const { return shape_[i]; }
  ASHLAR_HOST_DEVICE int rank() const { return shape_.rank(); }
  ASHLAR_HOST_DEVICE index_t count() const { return shape_.count(); }
  /// Elements from one row to the next.
  ASHLAR_HOST_DEVICE index_t row_stride() const { return row_stride_; }
  /// All dimensions but the last, as one: how many rows there are.
  ASHLAR_HOST_DEVICE index_t rows() const {
    index_t n = 1;
    for (int i = 0; i + 1 < shape_.rank(); ++i) n *= shape_[i];
    return n;
  }
  /// The length of a row.
  ASHLAR_HOST_DEVICE index_t cols() const { return shape_.rank() ? shape_[-1] : 1; }
  ASHLAR_HOST_DEVICE T* row(index_t i) const { return data_ + i * row_stride_; }
  ASHLAR_HOST_DEVICE bool contiguous() const { return rows() <= 1 || row_stride_ == cols(); }
  explicit operator bool() const { return shape_.rank() > 0; }

  /// Rows [begin, begin + n) as a view [n, cols].
  TensorView rows(index_t begin, index_t n) const {
    return {data_ ? data_ + begin * row_stride_ : nullptr, Shape{n, cols()}, row_stride_};
  }
  /// Columns [begin, begin + n) as a view [rows, n].
  TensorView columns(index_t begin, index_t n) const {
    return {data_ ? data_ + begin : nullptr, Shape{rows(), n}, row_stride_};
  }
  /// Elements [begin, begin + n) of a contiguous view, as a view [n].
  TensorView range(index_t begin, index_t n) const { return {data_ ? data_ + begin : nullptr, Shape{n}}; }
  /// The same elements under another shape. The view must be contiguous and the counts equal.
  TensorView reshaped(const Shape& shape) const {
    if (shape.count() != count() || !contiguous())
      fail(concat("can't view ", to_string(shape_), " (row stride ", row_stride_, ") as ", to_string(shape)));
    return {data_, shape};
  }

 private:
  T* data_ = nullptr;
  Shape shape_;
  index_t row_stride_ = 1;
};

/// A read-only argument of an operation: takes part in conversion (mutable to const), not in deduction.
template <class T, class Device>
using In = std::type_identity_t<const TensorView<const T, Device>&>;

}  // namespace ashlar::inline v0
