// Random contents for tensors of any size on the device: a block is drawn on the host, and repeated on the device. The
// block's length is a prime, so no two rows of a matrix are alike.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "ashlar/core/random.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/device/cuda/runtime.hpp"
#include "ashlar/tensor/tensor.hpp"

namespace ashlar::benchmark {

class RandomValues {
 public:
  explicit RandomValues(Cuda::Queue& queue) : queue_(&queue), normals_(4194301) {
    const RandomStream random(20261126, 1);
    for (std::size_t i = 0; i < normals_.size(); ++i) normals_[i] = random.normal(i);
  }

  /// Elements value_of(z), where z is standard normal.
  template <class T, class D, class F>
  void fill(const Tensor<T, D>& tensor, F value_of) {
    const auto count = static_cast<std::size_t>(tensor.count());
    const std::size_t drawn = std::min(count, normals_.size());
    std::vector<T> host(drawn);
    start_ = (start_ + 1299709) % normals_.size();
    for (std::size_t i = 0; i < drawn; ++i) host[i] = T(value_of(normals_[(start_ + i) % normals_.size()]));
    auto& queue = queue_of<D>();
    D::upload(queue, tensor.data(), host.data(), drawn * sizeof(T));
    for (std::size_t filled = drawn; filled < count; filled += std::min(filled, count - filled))
      D::copy(queue, tensor.data() + filled, tensor.data(), std::min(filled, count - filled) * sizeof(T));
  }
  template <class T, class D>
  void normal(const Tensor<T, D>& tensor, float deviation = 1) {
    fill(tensor, [deviation](float z) { return deviation * z; });
  }

  /// [N, k] integers below `bound`, distinct within a row.
  void distinct(const Tensor<std::int32_t, Cuda>& tensor, index_t bound) {
    const auto n = static_cast<std::size_t>(tensor.count());
    const index_t k = tensor.shape()[-1];
    const RandomStream random(20261126, ++stream_);
    std::vector<std::int32_t> host(n);
    for (std::size_t i = 0; i < n; ++i) {
      const auto row = host.begin() + static_cast<std::ptrdiff_t>(i - i % static_cast<std::size_t>(k));
      const auto at = host.begin() + static_cast<std::ptrdiff_t>(i);
      std::uint64_t draw = 0;
      do {
        *at = static_cast<std::int32_t>(random.below(i + (draw++ << 40), static_cast<std::uint64_t>(bound)));
      } while (std::find(row, at, *at) != at);
    }
    Cuda::upload(*queue_, tensor.data(), host.data(), n * sizeof(std::int32_t));
  }
  void below(const Tensor<std::int32_t, Cuda>& tensor, index_t bound) {
    const auto n = static_cast<std::size_t>(tensor.count());
    const RandomStream random(20261126, ++stream_);
    std::vector<std::int32_t> host(n);
    for (std::size_t i = 0; i < n; ++i)
      host[i] = static_cast<std::int32_t>(random.below(i, static_cast<std::uint64_t>(bound)));
    Cuda::upload(*queue_, tensor.data(), host.data(), n * sizeof(std::int32_t));
  }

 private:
  template <class D>
  auto& queue_of() {
    if constexpr (std::is_same_v<D, Cuda>)
      return *queue_;
    else
      return host_;
  }

  Cuda::Queue* queue_;
  Cpu::Queue host_;
  std::vector<float> normals_;
  std::size_t start_ = 0;
  std::uint64_t stream_ = 2;
};

}  // namespace ashlar::benchmark
