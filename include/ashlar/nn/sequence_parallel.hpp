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
  c.tensor_parallel.all_gather(c.queue, part, all).wait(c.queue);
}

/// This rank's rows [N / tp, D] of the sum over tp of `partial` [N, D]; written to `part`.
template <class E, class T>
void reduce_scatter_rows(Context<E>& c, std::type_identity_t<TensorView<const T, typename E::Device>> partial,
                         TensorView<T, typename E::Device> part) {
  c.tensor_parallel.reduce_scatter(c.queue, partial, part).wait(c.queue);
}

/// All rows [N, D] of a module's input [N / tp, D], which `recompute` can gather again; the input itself without tp.
template <class E>
TensorView<const typename E::Compute, typename E::Device> all_rows(
    Context<E>& c, TensorView<const typename E::Compute, typename E::Device> part) {
  using T = typename E::Compute;
  if (!tensor_parallel(c)) return part;
  auto all = c.recomputable({part.rows() * c.tensor_parallel.size(), part.cols()});
  gather_rows<E, T>(c, part, all);
  return all;
}
/// All rows [N, D] of the gradient of its output [N / tp, D], as a factor of weight gradients.
template <class E>
TensorView<const typename E::Compute, typename E::Device> all_gradient_rows(
    Context<E>& c, TensorView<const typename E::Compute, typename E::Device> part) {
  using T = typename E::Compute;
  if (!tensor_parallel(c)) return c.template stable<T>(part);
  auto all = c.operand({part.rows() * c.tensor_parallel.size(), part.cols()});
  gather_rows<E, T>(c, part, all);
  return all;
}
/// `part` [N / tp, D] becomes this rank's rows of the sum over tp of what product(target) writes to target [N, D].
template <class E, class Product>
void sum_rows(Context<E>& c, TensorView<typename E::Compute, typename E::Device> part, Product&& product) {
  using T = typename E::Compute;
  if (!tensor_parallel(c)) return product(part);
  ArenaScope scope(c.scratch_arena());
  auto partial = c.scratch({part.rows() * c.tensor_parallel.size(), part.cols()});
  product(partial);
  reduce_scatter_rows<E, T>(c, partial, part);
}

}  // namespace ashlar::inline v0
