// ColumnParallel: products of one input, whose rows the ranks of tp have in parts, with weights cut by columns of the
// output (Shoeybi et al. 2019, arXiv:1909.08053, section 3). Read next: nn/row_parallel.hpp, nn/swiglu.hpp.
#pragma once

#include <array>
#include <utility>

#include "ashlar/nn/sequence_parallel.hpp"
#include "ashlar/nn/weights.hpp"

namespace ashlar::inline v0 {

/// One of the weights [out, in] that multiply an input. A replicated one makes the same rows on every rank of tp; its
/// gradient is then, as the input's, a partial sum.
struct ColumnWeight {
  std::string_view name;
  index_t out;
  Initializer initializer = Initializer::truncated_normal(0.02, 2);
  LinearKind kind = LinearKind::column_parallel;
};

/// y_i = gather(x) W_i^T for N weights: wq, wk and wv; w1 and w3.
template <class E, std::size_t N>
class ColumnParallel {
  static_assert(WeightsOf<typename E::Weights, E>,
                "Weights<W> takes LowRank, or weights of your own with Input, prepare, Projection, trains and "
                "needs_base (see ashlar/nn/weights.hpp).");

 public:
  using T = typename E::Compute;
  using View = typename E::View;
  using ConstView = typename E::ConstView;

  struct Saved {
    typename E::Weights::template Input<E> all;  // of [rows, in], recomputable: x of all ranks
  };

  ColumnParallel(Declarations<E> d, index_t in, const std::array<ColumnWeight, N>& weights)
      : ColumnParallel(d, in, weights, std::make_index_sequence<N>()) {}

  /// Columns of y_i that this rank has.
  index_t out_dim(std::size_t i) const { return weights_[i].out_dim(); }

  /// Writes y_i [rows, out_dim(i)] of x [rows / tp, in].
  void forward(Context<E>& c, ConstView x, const std::array<View, N>& y, Saved& saved) const {
    recompute(c, x, saved);
    for (std::size_t i = 0; i < N; ++i) weights_[i].forward(c, saved.all, y[i]);
  }
  /// Makes `all` again.
  void recompute(Context<E>& c, ConstView x, Saved& saved) const {
    if (tensor_parallel(c)) {
      const View all = c.recomputable({all_rows(c, x), x.cols()});
      gather_rows<E, T>(c, x, all);
      x = all;
    }
    saved.all = E::Weights::template prepare<E>(c, x);
  }

  /// Writes dx [rows / tp, in] of the operands dy_i [rows, out_dim(i)], and accumulates the weight gradients: they are
  /// computed while the ranks' parts of dx are added up.
  void backward(Context<E>& c, const std::array<ConstView, N>& dy, const Saved& saved, View dx) {
    backward(c, dy, saved, dx, std::make_index_sequence<N>());
  }

 private:
  template <std::size_t... I>
  ColumnParallel(Declarations<E> d, index_t in, const std::array<ColumnWeight, N>& w, std::index_sequence<I...>)
      : weights_{Projection<E>(d, w[I].name, w[I].out, in, w[I].kind, w[I].initializer)...} {}

  template <std::size_t... I>
  void backward(Context<E>& c, const std::array<ConstView, N>& dy, const Saved& saved, View dx,
                std::index_sequence<I...>) {
    ArenaScope scope(c.scratch_arena());
    const View sum = tensor_parallel(c) ? c.scratch({all_rows(c, dx), dx.cols()}) : dx;
    const std::array gradients{weights_[I].gradient(c, dy[I])...};
    for (std::size_t i = 0; i < N; ++i) weights_[i].input_gradient(c, gradients[i], sum, i > 0);
    Request adding;
    if (tensor_parallel(c)) adding = c.tensor_parallel.template reduce_scatter<T>(c.queue, sum, dx);
    for (std::size_t i = 0; i < N; ++i) weights_[i].weight_gradient(c, gradients[i], saved.all);
    adding.wait(c.queue);
  }

  std::array<Projection<E>, N> weights_;
};

}  // namespace ashlar::inline v0
