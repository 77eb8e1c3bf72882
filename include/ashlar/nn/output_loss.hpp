// The end of a decoder: norm, output projection and loss, chunk by chunk of rows, so that logits [N, V] never exist at
// once. The gradient of the loss is known in forward (the scale is), so forward does the projection's backward too.
// Read next: nn/loss.hpp.
#pragma once

#include <algorithm>

#include "ashlar/nn/loss.hpp"
#include "ashlar/nn/rms_norm.hpp"
#include "ashlar/ops/elementwise/elementwise.hpp"
#include "ashlar/ops/matmul/matmul.hpp"

namespace ashlar::inline v0 {

/// How an output projection begins, and a table that serves as one.
inline Initializer output_initializer(index_t dim) {
  const double std = 1.0 / std::sqrt(static_cast<double>(dim));
  return Initializer::truncated_normal(std, 3 * std);
}

template <class E>
class OutputLoss {
 public:
  using T = typename E::Compute;
  using A = Acc<T>;
  using D = typename E::Device;
  using View = TensorView<T, D>;
  using ConstView = TensorView<const T, D>;

  struct Saved {
    typename RmsNorm<E>::Saved norm;
    View dnormed;  // [N / tp, dim], kept: the gradient at the norm's output
  };

  /// `tied`: the embedding's table, used instead of a weight of its own; or null.
  OutputLoss(Declarations<E> d, index_t vocab_size, index_t dim, double eps, Parameter<E>* tied)
      : norm_(d, "norm", dim, eps),
        weight_(tied ? tied : &own_),
        first_id_(vocab_size / d.degree(Axis::tp) * d.place(Axis::tp).coordinate) {
    ParameterInfo info{"output.weight", {vocab_size, dim}, output_initializer(dim), {{Axis::tp, 0}}};
    info.table = true;
    if (!tied) d.add(own_, std::move(info));
  }

  /// Adds the summed loss of the micro-batch's valid tokens, each times its weight, to total[0] (unscaled; the same on
  /// every rank of tp). The weights are applied here, so that no loss function needs to know of them. While
  /// saving, also accumulates the projection's gradient and keeps what backward needs.
  void forward(Context<E>& c, ConstView x, const Targets<D>& targets, const LossFunction<E>& loss,
               TensorView<double, D> total, Saved& saved) {
    if (c.saving()) saved.dnormed = c.kept({x.rows(), x.cols()});
    View normed = norm_.forward(c, x, saved.norm);
    ArenaScope scope(c.scratch_arena());
    ConstView all = normed;
    View dall = saved.dnormed;
    if (tensor_parallel(c)) {
      View gathered = c.scratch({c.sequences().rows(), x.cols()});
      gather_rows<E, T>(c, normed, gathered);
      all = gathered;
      if (c.saving()) dall = c.scratch({c.sequences().rows(), x.cols()});
    }
    auto losses = c.template scratch<A>({all.rows()});
    const index_t step = chunk_rows(all.rows());
    for (index_t begin = 0; begin < all.rows(); begin += step) {
      const index_t n = std::min(step, all.rows() - begin);
      chunk(c, loss, begin, all.rows(begin, n), targets, losses.range(begin, n),
            c.saving() ? dall.rows(begin, n) : View());
    }
    auto workspace = c.template scratch<double>({ops::sum_workspace<D>(losses.count())});
    ops::sum(c.queue, TensorView<const A, D>(losses), total, workspace);
    if (tensor_parallel(c) && c.saving()) reduce_scatter_rows<E, T>(c, dall, saved.dnormed);
  }

  /// The gradient of x [N / tp, dim], in scratch.
  View backward(Context<E>& c, const Saved& saved) {
    View dx = c.scratch(saved.dnormed.shape());
    D::fill_zero(c.queue, dx.data(), static_cast<std::size_t>(dx.count()) * sizeof(T));
    norm_.backward(c, saved.dnormed, saved.norm, dx);
    return dx;
  }
  /// Makes the norm's output again, for its weight gradient.
  void recompute(Context<E>& c, Saved& saved) const { norm_.recompute(c, saved.norm); }

  /// The logits [n, V / tp] of the given rows of x, for generation. x [N / tp, dim] is all of this rank's rows.
  TensorView<A, D> logits(Context<E>& c, ConstView x, index_t begin, index_t n) const {
    auto out = c.template scratch<A>({n, weight_->value.dim(0)});
    ArenaScope scope(c.scratch_arena());
    typename RmsNorm<E>::Saved norm;
    ConstView all = norm_.forward(c, x, norm);
    if (tensor_parallel(c)) {
      View gathered = c.scratch({c.sequences().rows(), x.cols()});
      gather_rows<E, T>(c, all, gathered);
      all = gathered;
    }
    ops::matmul<T>(c.queue, all.rows(begin, n), ops::Transpose::no, weight_->value, ops::Transpose::yes, out);
    return out;
  }

 private:
  // A chunk's logits take about as much memory as eight rows of activations a token would; at least 256 rows. Chunks
  // are of about the same size, a multiple of 64, so that none is a remainder for which products run slowly.
  index_t chunk_rows(index_t n) const {
    const index_t wanted = round_up(8 * n * weight_->value.dim(1) / weight_->value.dim(0) + 1, 256);
    return std::max<index_t>(1, std::min(n, round_up(ceil_div(n, ceil_div(std::max<index_t>(n, 1), wanted)), 64)));
  }

  // Scratch whose rows begin at multiples of 64 elements: with a vocabulary of an odd size in between, products of
  // logits would lose the tensor cores' wide loads.
  template <class U>
  static TensorView<U, D> aligned_rows(Context<E>& c, const Shape& shape) {
    const index_t stride = round_up(shape[1], 64);
    return {c.template scratch<U>({shape[0], stride}).data(), shape, stride};
  }
  void chunk(Context<E>& c, const LossFunction<E>& loss, index_t first_row, ConstView x, const Targets<D>& targets,
             TensorView<A, D> losses, View dx) {
    ArenaScope scope(c.scratch_arena());
    LogitsChunk<E> k;
    const Shape shape{x.rows(), weight_->value.dim(0)};
    auto logits = aligned_rows<A>(c, shape);
    ops::matmul<T>(c.queue, x, ops::Transpose::no, weight_->value, ops::Transpose::yes, logits);
    c.observe("logits", logits,
              {.columns_over = Axis::tp, .first_row = first_row, .rows_of_chunks = c.sequences().rows()});
    k.logits = logits;
    k.first_row = first_row;
    k.targets = targets.ids.range(first_row, x.rows());
    if (targets.weights) k.weights = targets.weights.range(first_row, x.rows());
    k.first_id = first_id_;
    k.scale = c.loss_scale;
    k.loss = losses;
    if (c.saving()) {
      if constexpr (std::is_same_v<T, A>)
        k.dlogits = logits;
      else if (c.computes_in_master())
        k.dlogits = {nullptr, shape};
      else
        k.dlogits = aligned_rows<T>(c, shape);
    }
    loss(c, k);
    if (k.weights) {
      ops::scale_rows<A, D>(c.queue, losses.reshaped({x.rows(), 1}), k.weights);
      if (c.saving()) ops::scale_rows<T, D>(c.queue, k.dlogits, k.weights);
    }
    if (!c.saving()) return;
    ops::matmul<T>(c.queue, k.dlogits, ops::Transpose::no, weight_->value, ops::Transpose::no, dx);
    if (weight_->trainable)
      ops::matmul<T>(c.queue, k.dlogits, ops::Transpose::yes, x, ops::Transpose::no, weight_->gradient, 1);
  }

  RmsNorm<E> norm_;
  Parameter<E> own_;
  Parameter<E>* weight_;
  index_t first_id_;
};

}  // namespace ashlar::inline v0
