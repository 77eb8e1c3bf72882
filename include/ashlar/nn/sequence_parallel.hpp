// Sequence parallel: between modules, each rank of tp holds an equal part of the token rows; inside attention and
// feed-forward every rank sees all rows and a part of the heads or of the hidden units (Korthikanti et al. 2022,
// arXiv:2205.05198). Used by nn/attention.hpp, nn/swiglu.hpp, nn/embedding.hpp and nn/output_loss.hpp.
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

/// All rows [N, D] of a tensor of which this rank has the part [N / tp, D]; written to `all`.
template <class E, class T>
void gather_rows(Context<E>& c, std::type_identity_t<TensorView<const T, typename E::Device>> part,
                 TensorView<T, typename E::Device> all) {
  c.tensor_parallel.all_gather(part.data(), all.data(), part.count()).wait();
}

/// This rank's rows [N / tp, D] of the sum over tp of `partial` [N, D]; written to `part`.
template <class E, class T>
void reduce_scatter_rows(Context<E>& c, std::type_identity_t<TensorView<const T, typename E::Device>> partial,
                         TensorView<T, typename E::Device> part) {
  c.tensor_parallel.reduce_scatter(partial.data(), part.data(), part.count()).wait();
}

}  // namespace ashlar::inline v0
