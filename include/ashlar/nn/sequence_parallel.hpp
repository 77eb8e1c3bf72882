// Sequence parallel: between modules, each rank of tp holds an equal part of the token rows; inside attention and
// feed-forward every rank sees all rows and a part of the heads or of the hidden units (Korthikanti et al. 2022,
// arXiv:2205.05198). Read next: nn/column_parallel.hpp, nn/row_parallel.hpp.
#pragma once

#include "ashlar/nn/context.hpp"

namespace ashlar::inline v0 {

/// Whether this pass exchanges rows over tp.
template <class E>
bool tensor_parallel(const Context<E>& c) {
  if constexpr (E::has(tp))
    return c.tensor_parallel.size() > 1;
  else
    return false;
}

/// How many rows all ranks of tp have of which this one has `part`.
template <class E, class T>
index_t all_rows(const Context<E>& c, const TensorView<T, typename E::Device>& part) {
  return part.rows() * (tensor_parallel(c) ? c.tensor_parallel.size() : 1);
}

/// All rows [N, D] of a tensor of which this rank has the part [N / tp, D]; written to `all`.
template <class E, class T>
void gather_rows(Context<E>& c, std::type_identity_t<TensorView<const T, typename E::Device>> part,
                 TensorView<T, typename E::Device> all) {
  c.tensor_parallel.all_gather(c.queue, part, all).wait(c.queue);
}

/// This rank's rows [N / tp, D] of the sum over tp of `partial` [N, D]; written to `part`.
template <class E, class T>
void reduce_scatter_rows(Context<E>& c, std::type_identity_t<TensorView<const T, typename E::Device>> partial,
                         TensorView<T, typename E::Device> part) {
  c.tensor_parallel.reduce_scatter(c.queue, partial, part).wait(c.queue);
}

}  // namespace ashlar::inline v0
