// The rate of the machine's matrix product, as MFU's denominator where the vendor gives none: measured once at the
// start.
#pragma once

#include <algorithm>
#include <chrono>
#include <vector>

#include "ashlar/core/random.hpp"
#include "ashlar/ops/matmul/matmul.hpp"
#include "ashlar/tensor/tensor.hpp"

namespace ashlar::inline v0 {

/// The vendor's figure on Cuda. On Cpu, FLOP/s of a 1024 x 1024 x 1024 product in T on D, the best of a few: about 20
/// ms on two CPU cores.
template <class T, Device D>
double measure_matmul_rate(typename D::Queue& queue) {
  if constexpr (std::is_same_v<D, Cuda>) return std::is_same_v<T, bf16> ? 989e12 : 67e12;  // H100 and H200, dense
  using Clock = std::chrono::steady_clock;
  constexpr index_t n = 1024;
  Memory<D> memory;
  Tensor<T, D> a(memory, {n, n}), b(memory, {n, n}), c(memory, {n, n});
  std::vector<T> host(n * n);
  const RandomStream random(0, 0);
  for (std::size_t i = 0; i < host.size(); ++i)
    host[i] = static_cast<T>(static_cast<float>(random.bits(i) >> 40) * 0x1p-24f);
  D::upload(queue, a.data(), host.data(), a.bytes());
  D::upload(queue, b.data(), host.data(), b.bytes());
  double best = 0;
  for (int i = 0; i < 6; ++i) {
    const auto begin = Clock::now();
    ops::matmul<T>(queue, a.view(), ops::Transpose::no, b.view(), ops::Transpose::yes, c.view());
    D::synchronize(queue);
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    best = std::max(best, 2.0 * n * n * n / std::max(seconds, 1e-9));
  }
  return best;
}

}  // namespace ashlar::inline v0
