// Parts of a device's tensor on the host, in double: what references are computed from and results are compared with.
#pragma once

#include <cuda_runtime_api.h>

#include <cmath>
#include <limits>
#include <vector>

#include "ashlar/device/cpu.hpp"
#include "ashlar/device/cuda/runtime.hpp"
#include "ashlar/tensor/tensor.hpp"

namespace ashlar::benchmark {

/// A matrix of doubles (or int32) on the host, which operations of Cpu take.
template <class T = double>
struct HostMatrix {
  HostMatrix(index_t rows, index_t cols) : shape{rows, cols}, values(static_cast<std::size_t>(rows * cols)) {}
  T& at(index_t i, index_t j) { return values[static_cast<std::size_t>(i * shape[1] + j)]; }
  const T& at(index_t i, index_t j) const { return values[static_cast<std::size_t>(i * shape[1] + j)]; }
  TensorView<T, Cpu> view() { return {values.data(), shape}; }
  TensorView<T, Cpu> flat() { return {values.data(), {shape.count()}}; }

  Shape shape;
  std::vector<T> values;
};

/// The index-th of `count` rows spread over `rows`.
inline index_t spread(index_t index, index_t count, index_t rows) {
  return count < 2 ? 0 : index * (rows - 1) / (count - 1);
}

/// Rows `first`, and on, of the columns `first_col` and on.
template <class To = double, class T>
HostMatrix<To> read(Cuda::Queue& queue, TensorView<T, Cuda> from, index_t first, index_t rows, index_t first_col,
                    index_t cols) {
  using Element = std::remove_const_t<T>;
  std::vector<Element> raw(static_cast<std::size_t>(rows * cols));
  const std::size_t width = static_cast<std::size_t>(cols) * sizeof(T);
  detail::check_cuda(
      cudaMemcpy2DAsync(raw.data(), width, from.row(first) + first_col,
                        static_cast<std::size_t>(from.row_stride()) * sizeof(T), width, static_cast<std::size_t>(rows),
                        cudaMemcpyDeviceToHost, static_cast<cudaStream_t>(queue.stream())),
      "cudaMemcpy2DAsync", detail::earlier_kernel_remedy);
  Cuda::synchronize(queue);
  HostMatrix<To> out(rows, cols);
  for (std::size_t i = 0; i < raw.size(); ++i) out.values[i] = static_cast<To>(raw[i]);
  return out;
}
template <class To = double, class T>
HostMatrix<To> read_rows(Cuda::Queue& queue, TensorView<T, Cuda> from, index_t first, index_t rows) {
  return read<To>(queue, from, first, rows, 0, from.cols());
}
template <class To = double, class T>
HostMatrix<To> read_all(Cuda::Queue& queue, TensorView<T, Cuda> from) {
  return read_rows<To>(queue, from, 0, from.rows());
}
/// `count` rows, spread over all.
template <class To = double, class T>
HostMatrix<To> sample_rows(Cuda::Queue& queue, TensorView<T, Cuda> from, index_t count) {
  HostMatrix<To> out(count, from.cols());
  for (index_t i = 0; i < count; ++i) {
    const HostMatrix<To> row = read_rows<To>(queue, from, spread(i, count, from.rows()), 1);
    std::copy(row.values.begin(), row.values.end(), out.values.begin() + i * from.cols());
  }
  return out;
}

/// The largest difference, an element's as a share of what is wanted plus the root mean square of all that is: 0 is
/// exact. NaN never passes.
inline double deviation(const std::vector<double>& got, const std::vector<double>& want) {
  double squares = 0, worst = 0;
  for (const double w : want) squares += w * w;
  const double scale = std::sqrt(squares / static_cast<double>(std::max<std::size_t>(want.size(), 1))) + 1e-300;
  if (got.size() != want.size()) return std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double error = std::abs(got[i] - want[i]) / (std::abs(want[i]) + scale);
    if (!(error <= worst)) worst = std::isnan(error) ? std::numeric_limits<double>::infinity() : error;
  }
  return worst;
}
/// For what must agree in every bit.
template <class T>
double exactly(const std::vector<T>& got, const std::vector<T>& want) {
  return got == want ? 0 : std::numeric_limits<double>::infinity();
}

}  // namespace ashlar::benchmark
