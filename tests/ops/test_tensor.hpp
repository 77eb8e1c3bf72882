// Tensors for the tests of operations: poisoned until written, with guards around every row, and filled from a seed.
// Comparisons treat NaN as an error. Read next: tests/ops/rms_norm.cpp.
#pragma once

#include <cmath>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <type_traits>
#include <vector>

#include "ashlar/core/random.hpp"
#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"

namespace ashlar::test {

/// Owns a Cpu tensor whose rows lie `gap` elements apart. Memory that nothing has written holds poison: NaN, or a large
/// integer. Copies compare by content.
template <class T>
class TestTensor {
 public:
  explicit TestTensor(const Shape& shape, index_t gap = 0) : shape_(shape) {
    stride_ = (shape.rank() ? shape[-1] : 1) + gap;
    data_.resize(static_cast<std::size_t>(guard + rows() * stride_ + guard));
    poison();
  }
  TestTensor(const Shape& shape, std::initializer_list<T> values) : TestTensor(shape) {
    index_t i = 0;
    for (T v : values) at(i++) = v;
  }

  TensorView<T, Cpu> view() { return {data_.data() + guard, shape_, stride_}; }
  operator TensorView<T, Cpu>() { return view(); }
  operator TensorView<const T, Cpu>() { return view(); }

  const Shape& shape() const { return shape_; }
  index_t count() const { return shape_.count(); }
  index_t cols() const { return shape_.rank() ? shape_[-1] : 1; }
  index_t rows() const { return cols() ? count() / cols() : 0; }
  /// Element i of the elements in order, whatever the distance of the rows.
  T& at(index_t i) { return data_[static_cast<std::size_t>(guard + i / cols() * stride_ + i % cols())]; }
  const T& at(index_t i) const { return const_cast<TestTensor*>(this)->at(i); }
  T& at(index_t row, index_t col) { return at(row * cols() + col); }
  const T& at(index_t row, index_t col) const { return at(row * cols() + col); }

  void poison() {
    if (!data_.empty())
      std::memset(static_cast<void*>(data_.data()), std::is_integral_v<T> ? 0x7f : 0xff, data_.size() * sizeof(T));
  }
  TestTensor& fill(T value) {
    for (index_t i = 0; i < count(); ++i) at(i) = value;
    return *this;
  }
  /// Normal numbers times `scale`, rounded to T.
  TestTensor& randomise(std::uint64_t seed, double scale = 1) {
    const RandomStream stream(seed, 7);
    for (index_t i = 0; i < count(); ++i)
      at(i) = T(static_cast<Acc<T>>(scale * stream.normal(static_cast<std::uint64_t>(i))));
    return *this;
  }
  std::vector<double> values() const {
    std::vector<double> out;
    for (index_t i = 0; i < count(); ++i) out.push_back(static_cast<double>(at(i)));
    return out;
  }
  /// Whether nothing outside the tensor's elements was written.
  bool guards_intact() {
    TestTensor expected = *this;
    expected.poison();
    for (index_t i = 0; i < count(); ++i) expected.at(i) = at(i);
    return same_bits(expected);
  }
  bool same_bits(const TestTensor& other) const {
    return data_.size() == other.data_.size() &&
           (data_.empty() || std::memcmp(data_.data(), other.data_.data(), data_.size() * sizeof(T)) == 0);
  }

 private:
  static constexpr index_t guard = 8;
  Shape shape_;
  index_t stride_;
  std::vector<T> data_;
};

/// The largest |got - want| / (floor + |want|). Infinite when the lengths differ or when one of a pair is not a number
/// and the other is; infinities must be equal.
inline double max_error(const std::vector<double>& got, const std::vector<double>& want, double floor = 1e-2) {
  if (got.size() != want.size()) return std::numeric_limits<double>::infinity();
  double worst = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(got[i]) && std::isnan(want[i])) continue;
    if (std::isinf(want[i]) && got[i] == want[i]) continue;
    const double error = std::abs(got[i] - want[i]) / (floor + std::abs(want[i]));
    worst = error <= worst ? worst : std::isnan(error) ? std::numeric_limits<double>::infinity() : error;
  }
  return worst;
}

/// What max_error may reach when a result is rounded once to T and was computed in Acc<T>.
template <class T>
constexpr double tolerance = std::is_same_v<T, double>  ? 1e-12
                             : std::is_same_v<T, float> ? 4e-6
                                                        : 0x1.1p-8;

/// The derivatives of value() by the elements of x, by central differences.
template <class Function>
std::vector<double> finite_differences(TestTensor<double>& x, Function value, double step = 1e-5) {
  std::vector<double> out;
  for (index_t i = 0; i < x.count(); ++i) {
    const double before = x.at(i);
    x.at(i) = before + step;
    const double above = value();
    x.at(i) = before - step;
    const double below = value();
    x.at(i) = before;
    out.push_back((above - below) / (2 * step));
  }
  return out;
}

/// sum of a b over all elements: the loss that finite differences are taken of.
inline double inner(const TestTensor<double>& a, const TestTensor<double>& b) {
  double sum = 0;
  for (index_t i = 0; i < a.count(); ++i) sum += a.at(i) * b.at(i);
  return sum;
}

}  // namespace ashlar::test
