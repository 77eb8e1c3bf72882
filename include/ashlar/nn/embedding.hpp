// Token embedding, its vocabulary cut over tp.
#pragma once

#include "ashlar/nn/sequence_parallel.hpp"
#include "ashlar/ops/embedding/embedding.hpp"
#include "ashlar/tensor/parameter.hpp"

namespace ashlar::inline v0 {

template <class E>
class Embedding {
 public:
  using T = typename E::Compute;
  using D = typename E::Device;
  using View = TensorView<T, D>;

  /// The table [vocab_size, dim] is called `name`.weight.
  Embedding(Declarations<E> d, std::string_view name, index_t vocab_size, index_t dim,
            Initializer initializer = Initializer::normal(1))
      : dim_(dim), first_id_(vocab_size / d.degree(Axis::tp) * d.place(Axis::tp).coordinate) {
    ParameterInfo info{concat(name, ".weight"), {vocab_size, dim}, initializer, {{Axis::tp, 0}}};
    info.table = true;
    d.add(weight_, std::move(info));
  }

  const Parameter<E>& weight() const { return weight_; }
  Parameter<E>& weight() { return weight_; }

  /// The rows [N / tp, dim] of this rank's part of the micro-batch's tokens, kept.
  View forward(Context<E>& c) const {
    const index_t n = c.sequences().rows();
    if (!tensor_parallel(c)) {
      View y = c.kept({n, dim_});
      ops::embedding<T>(c.queue, c.sequences().tokens, weight_.value, first_id_, y);
      return y;
    }
    View y = c.kept({n / c.tensor_parallel.size(), dim_});
    ArenaScope scope(c.scratch_arena());
    View partial = c.scratch({n, dim_});
    ops::embedding<T>(c.queue, c.sequences().tokens, weight_.value, first_id_, partial);
    reduce_scatter_rows<E, T>(c, partial, y);
    return y;
  }

  void backward(Context<E>& c, TensorView<const T, D> dy) {
    if (!weight_.trainable) return;
    ArenaScope scope(c.scratch_arena());
    auto all = dy;
    if (tensor_parallel(c)) {
      View gathered = c.scratch({c.sequences().rows(), dim_});
      gather_rows<E, T>(c, dy, gathered);
      all = gathered;
    }
    auto workspace = c.template scratch<std::int32_t>(
        {ops::embedding_backward_workspace<D>(c.sequences().rows(), weight_.gradient.dim(0))});
    ops::embedding_backward<T>(c.queue, c.sequences().tokens, all, first_id_, weight_.gradient, workspace);
  }

 private:
  index_t dim_, first_id_;
  Parameter<E> weight_;
};

}  // namespace ashlar::inline v0
