// The table of rotary angles: one for a stage, read by all its attention modules. Read next:
// nn/attention/rope_angles.hpp.
#pragma once

#include <cmath>
#include <vector>

#include "ashlar/nn/attention/rope_angles.hpp"
#include "ashlar/tensor/tensor.hpp"

namespace ashlar::inline v0 {

/// [positions, width]: (cos, sin) of position * frequency i, times the magnitude, at columns (2i, 2i + 1).
template <class E>
class RopeTable {
 public:
  using A = typename E::Master;
  using D = typename E::Device;

  RopeTable(Memory<D>& memory, typename D::Queue& queue, index_t positions, const RopeAngles& angles)
      : table_(memory, {positions, 2 * static_cast<index_t>(angles.frequencies.size())}),
        score_scale_(angles.score_scale) {
    if (!angles.query_scales.empty()) query_scales_ = Tensor<float, D>(memory, {positions});
    if constexpr (D::has_storage) {
      std::vector<A> host;
      for (index_t p = 0; p < positions; ++p)
        for (const double frequency : angles.frequencies) {
          const double angle = static_cast<double>(p) * frequency;
          host.push_back(static_cast<A>(angles.magnitude * std::cos(angle)));
          host.push_back(static_cast<A>(angles.magnitude * std::sin(angle)));
        }
      D::upload(queue, table_.data(), host.data(), table_.bytes());
      if (query_scales_) D::upload(queue, query_scales_.data(), angles.query_scales.data(), query_scales_.bytes());
      D::synchronize(queue);
    }
  }
  /// Of frequencies theta^(-2i / head_dim).
  RopeTable(Memory<D>& memory, typename D::Queue& queue, index_t positions, index_t head_dim, double theta)
      : RopeTable(memory, queue, positions, rope_angles(head_dim, theta, {}, positions)) {}

  TensorView<const A, D> view() const { return table_.view(); }
  double score_scale() const { return score_scale_; }
  /// [positions], or empty.
  TensorView<const float, D> query_scales() const { return query_scales_.view(); }

 private:
  Tensor<A, D> table_;
  double score_scale_;
  Tensor<float, D> query_scales_;
};

}  // namespace ashlar::inline v0
