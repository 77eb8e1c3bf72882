// Modulation: vectors made of the condition, and the norms and gates that they steer. Read next:
// models/joint/double_stream.hpp, ops/modulation/modulation.hpp.
#pragma once

#include "ashlar/models/joint/stream.hpp"
#include "ashlar/nn/linear.hpp"
#include "ashlar/ops/conditioning/conditioning.hpp"
#include "ashlar/ops/modulation/modulation.hpp"

namespace ashlar::inline v0 {

/// vectors [B, count dim] = silu(condition) W^T: `count` vectors a sequence.
template <class E>
class Modulation {
 public:
  using T = typename E::Compute;
  using D = typename E::Device;
  using View = typename E::View;
  using ConstView = typename E::ConstView;

  struct Saved {
    View vectors;  // kept
  };

  Modulation(Declarations<E> d, std::string_view name, int count, index_t dim)
      : dim_(dim), linear_(d, name, count * dim, dim, LinearKind::replicated, Initializer::truncated_normal(0.02, 2)) {}

  /// Of `active` [B, dim], silu of the condition.
  void forward(Context<E>& c, ConstView active, Saved& saved) const {
    saved.vectors = c.kept({active.rows(), linear_.out_dim()});
    linear_.forward(c, active, saved.vectors);
  }
  /// Vector i [B, dim] of the vectors or of their gradient.
  View vector(View vectors, int i) const { return vectors.columns(i * dim_, dim_); }

  /// Zeros [B, count dim], to which the gradients of the vectors are added.
  View gradient(Context<E>& c, const Saved& saved) const {
    View d = c.operand(saved.vectors.shape());
    D::fill_zero(c.queue, d.data(), static_cast<std::size_t>(d.count()) * sizeof(T));
    return d;
  }
  /// dactive (+)= its part of d [B, count dim].
  void backward(Context<E>& c, ConstView d, ConstView active, View dactive, bool accumulate) {
    linear_.weight_gradient(c, d, active);
    linear_.input_gradient(c, d, dactive, accumulate);
  }

 private:
  index_t dim_;
  Linear<E> linear_;
};

/// silu(condition) [B, dim], recomputable.
template <class E>
typename E::View activate(Context<E>& c, typename E::ConstView condition) {
  auto active = c.recomputable(condition.shape());
  ops::silu<typename E::Compute, typename E::Device>(c.queue, condition, active);
  return active;
}

/// y = norm(x) (1 + scale) + shift, of rows of one stream.
template <class E>
class ModulatedNorm {
 public:
  using T = typename E::Compute;
  using D = typename E::Device;
  using View = typename E::View;
  using ConstView = typename E::ConstView;

  struct Saved {
    ConstView x;                                                 // [N / tp, dim], the caller's
    ConstView shift, scale;                                      // [B, dim], the caller's
    typename E::template ViewOf<typename E::Master> statistics;  // [N / tp, 2], kept
    View y;                                                      // recomputable
  };

  explicit ModulatedNorm(double eps = 1e-6) : eps_(eps) {}

  View forward(Context<E>& c, std::size_t stream, ConstView x, ConstView shift, ConstView scale, Saved& saved) const {
    saved.x = x;
    saved.shift = shift;
    saved.scale = scale;
    saved.statistics = c.template kept<typename E::Master>({x.rows(), 2});
    recompute(c, stream, saved);
    return saved.y;
  }
  /// Makes y again, and the statistics, which come out as they were.
  void recompute(Context<E>& c, std::size_t stream, Saved& saved) const {
    saved.y = c.recomputable(saved.x.shape());
    ops::modulate<T, D>(c.queue, saved.x, saved.shift, saved.scale, sequence_rows(c, stream), eps_, saved.y,
                        saved.statistics);
  }
  /// Adds to dx, dshift and dscale.
  void backward(Context<E>& c, std::size_t stream, ConstView dy, const Saved& saved, View dx, View dshift,
                View dscale) const {
    ops::modulate_backward<T, D>(c.queue, dy, saved.x, saved.scale, saved.statistics, sequence_rows(c, stream), dx,
                                 dshift, dscale);
  }

 private:
  double eps_;
};

}  // namespace ashlar::inline v0
