// RMSNorm as a module; the residual addition before it can be fused in.
#pragma once

#include "ashlar/nn/context.hpp"
#include "ashlar/ops/rms_norm/rms_norm.hpp"
#include "ashlar/tensor/parameter.hpp"

namespace ashlar::inline v0 {

template <class E>
class RmsNorm {
 public:
  using T = typename E::Compute;
  using D = typename E::Device;
  using View = TensorView<T, D>;
  using ConstView = TensorView<const T, D>;

  /// Of h [N, dim] = x + residual: h itself, and rstd [N].
  struct Saved {
    ConstView h;
    TensorView<Acc<T>, D> rstd;
    View y;  // recomputable
  };

  RmsNorm(Declarations<E> d, std::string_view name, index_t dim, double eps) : eps_(eps) {
    d.add(weight_, {concat(name, ".weight"), {dim}, Initializer::constant(1), {}, false});
  }

  /// y [N, dim] of x. x must outlive `saved`.
  View forward(Context<E>& c, ConstView x, Saved& saved) const { return forward(c, x, {}, saved); }

  /// y of h = x + residual; h is kept for backward, and for the next residual addition. `residual` may be empty.
  View forward(Context<E>& c, ConstView x, ConstView residual, Saved& saved) const {
    View h;
    saved.rstd = c.template kept<Acc<T>>({x.rows()});
    if (residual) h = c.kept({x.rows(), x.cols()});
    saved.y = c.recomputable({x.rows(), x.cols()});
    ops::rms_norm<T>(c.queue, x, residual, weight_.value, eps_, h, saved.y, saved.rstd);
    saved.h = residual ? ConstView(h) : x;
    return saved.y;
  }
  /// Makes y again from h.
  void recompute(Context<E>& c, Saved& saved) const {
    saved.y = c.recomputable({saved.h.rows(), saved.h.cols()});
    ops::rms_norm<T>(c.queue, saved.h, {}, weight_.value, eps_, {}, saved.y, saved.rstd);
  }

  /// Adds the gradient of h to dh [N, dim].
  void backward(Context<E>& c, ConstView dy, const Saved& saved, View dh) {
    ArenaScope scope(c.scratch_arena());
    auto workspace = c.template scratch<Acc<T>>({ops::rms_norm_backward_workspace<D>(dy.rows(), dy.cols())});
    ops::rms_norm_backward<T>(c.queue, dy, saved.h, weight_.value, saved.rstd, dh, true, weight_.gradient, workspace);
  }

 private:
  Parameter<E> weight_;
  double eps_;
};

}  // namespace ashlar::inline v0
