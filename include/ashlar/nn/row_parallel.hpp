// RowParallel: the product that ends attention and feed-forward. Its weight is cut by rows of the input, so each rank
// of tp has a partial sum of the output (Shoeybi et al. 2019, arXiv:1909.08053, section 3). Read next: nn/swiglu.hpp.
#pragma once

#include "ashlar/nn/sequence_parallel.hpp"
#include "ashlar/nn/weights.hpp"

namespace ashlar::inline v0 {

/// y = scatter(sum over tp of x W^T): wo, w2.
template <class E>
class RowParallel {
 public:
  using T = typename E::Compute;
  using View = typename E::View;
  using ConstView = typename E::ConstView;

  /// The weight [out, in] is called `name`.weight; its initial values have the standard deviation `std`.
  RowParallel(Declarations<E> d, std::string_view name, index_t out, index_t in, double std)
      : weight_(d, name, out, in, LinearKind::row_parallel, Initializer::truncated_normal(std, 2)) {}

  /// Writes y [rows / tp, out] of x [rows, in / tp].
  void forward(Context<E>& c, ConstView x, View y) const {
    ArenaScope scope(c.scratch_arena());
    const View sum = tensor_parallel(c) ? c.scratch({all_rows(c, y), y.cols()}) : y;
    weight_.forward(c, E::Weights::template prepare<E>(c, x), sum);
    if (tensor_parallel(c)) reduce_scatter_rows<E, T>(c, sum, y);
  }
  /// Writes dx [rows, in / tp] of dy [rows / tp, out], and accumulates the weight gradient; x must stay as it is until
  /// that is computed.
  void backward(Context<E>& c, ConstView dy, ConstView x, View dx) {
    ArenaScope scope(c.scratch_arena());
    if (tensor_parallel(c)) {
      const View all = c.operand({all_rows(c, dy), dy.cols()});
      gather_rows<E, T>(c, dy, all);
      dy = all;
    } else {
      dy = c.template stable<T>(dy);
    }
    const auto gradient = weight_.gradient(c, dy);
    weight_.input_gradient(c, gradient, dx, false);
    weight_.weight_gradient(c, gradient, E::Weights::template prepare<E>(c, x));
  }

 private:
  Projection<E> weight_;
};

}  // namespace ashlar::inline v0
