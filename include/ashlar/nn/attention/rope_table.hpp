// The table of rotary angles: one for a stage, read by all its attention modules.
#pragma once

#include <cmath>
#include <vector>

#include "ashlar/tensor/tensor.hpp"

namespace ashlar::inline v0 {

/// [positions, head_dim]: (cos, sin) of position * theta^(-2i / head_dim) at columns (2i, 2i + 1).
template <class E>
class RopeTable {
 public:
  using A = typename E::Master;
  using D = typename E::Device;

  RopeTable(Memory<D>& memory, typename D::Queue& queue, index_t positions, index_t head_dim, double theta)
      : table_(memory, {positions, head_dim}) {
    if constexpr (D::has_storage) {
      std::vector<A> host(static_cast<std::size_t>(positions * head_dim));
      for (index_t p = 0; p < positions; ++p)
        for (index_t i = 0; i < head_dim / 2; ++i) {
          const double angle =
              static_cast<double>(p) * std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
          host[static_cast<std::size_t>(p * head_dim + 2 * i)] = static_cast<A>(std::cos(angle));
          host[static_cast<std::size_t>(p * head_dim + 2 * i + 1)] = static_cast<A>(std::sin(angle));
        }
      D::upload(queue, table_.data(), host.data(), table_.bytes());
      D::synchronize(queue);
    }
  }
  TensorView<const A, D> view() const { return table_.view(); }

 private:
  Tensor<A, D> table_;
};

}  // namespace ashlar::inline v0
