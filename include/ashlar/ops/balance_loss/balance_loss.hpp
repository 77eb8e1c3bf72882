// The auxiliary loss that keeps experts evenly loaded (Fedus et al. 2021, arXiv:2101.03961, equation 4; over sequences,
// DeepSeek-V3, arXiv:2412.19437, equations 17 to 20): counts of the choices in a group of rows, and the gradient.
#pragma once

#include <cstdint>

#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/device/cuda/cuda.hpp"
#include "ashlar/device/meta.hpp"
#include "ashlar/ops/balance_loss/cpu.hpp"

namespace ashlar::inline v0::ops {

namespace cuda {
template <class Index>  // std::int32_t
void count_choices(Cuda::Queue&, TensorView<const Index, Cuda> experts, index_t first_row, index_t group_rows,
                   TensorView<Index, Cuda> counts);
template <class A>
void balance_loss_backward(Cuda::Queue&, TensorView<const A, Cuda> probabilities,
                           TensorView<const std::int32_t, Cuda> counts, const BalanceLoss& loss,
                           TensorView<A, Cuda> dlogits);
}  // namespace cuda

/// counts [G, E] += how often the rows of group g chose each expert. Row r of experts [N, k] is row first_row + r of
/// all, and those are groups of group_rows.
template <class D>
void count_choices(typename D::Queue& queue, In<std::int32_t, D> experts, index_t first_row, index_t group_rows,
                   TensorView<std::int32_t, D> counts) {
  check(experts.contiguous() && counts.contiguous() && first_row + experts.rows() <= counts.rows() * group_rows,
        "count_choices: contiguous experts [N, k] and counts [G, E], and a group for every row");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(0, experts, counts, counts);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::count_choices(experts, first_row, group_rows, counts);
  else
    cuda::count_choices<std::int32_t>(queue, experts, first_row, group_rows, counts);
}

/// With q = probabilities [N, E], each row divided by its sum where they are sigmoids (a softmax adds up to 1), the
/// loss is factor * the sum over rows r and experts e of counts[group of r, e] q[r, e], the counts being constants.
/// dlogits [N, E] += its gradient in the logits.
template <class A, class D>
void balance_loss_backward(typename D::Queue& queue, In<A, D> probabilities, In<std::int32_t, D> counts,
                           const BalanceLoss& loss, TensorView<A, D> dlogits) {
  check(probabilities.shape() == dlogits.shape() && counts.contiguous() && counts.cols() == dlogits.cols() &&
            loss.first_row + dlogits.rows() <= counts.rows() * loss.group_rows,
        "balance_loss_backward: probabilities and dlogits [N, E], counts [G, E], and a group for every row");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(8.0 * dlogits.count(), probabilities, counts, dlogits, dlogits);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::balance_loss_backward<A>(probabilities, counts, loss, dlogits);
  else
    cuda::balance_loss_backward<A>(queue, probabilities, counts, loss, dlogits);
}

}  // namespace ashlar::inline v0::ops
