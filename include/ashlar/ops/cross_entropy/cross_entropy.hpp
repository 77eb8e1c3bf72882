// Cross-entropy over a chunk of rows, also with the vocabulary sharded over ranks: statistics, their merge, the
// gradient. Read next: ops/cross_entropy/cpu.hpp.
#pragma once

#include <type_traits>

#include <cstdint>
#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/device/cuda/cuda.hpp"
#include "ashlar/device/meta.hpp"
#include "ashlar/ops/cross_entropy/cpu.hpp"
#include "ashlar/ops/cross_entropy/ignore_index.hpp"

namespace ashlar::inline v0::ops {

namespace cuda {
template <class A>
void cross_entropy_statistics(Cuda::Queue&, TensorView<const A, Cuda> logits,
                              TensorView<const std::int32_t, Cuda> targets, index_t first_id,
                              TensorView<A, Cuda> statistics);
template <class A>
void cross_entropy_merge(Cuda::Queue&, TensorView<const A, Cuda> shards, TensorView<A, Cuda> statistics);
template <class T>
void cross_entropy_backward(Cuda::Queue&, TensorView<const Acc<T>, Cuda> logits,
                            TensorView<const std::int32_t, Cuda> targets, index_t first_id,
                            TensorView<const Acc<T>, Cuda> statistics, double scale, TensorView<T, Cuda> dlogits,
                            TensorView<Acc<T>, Cuda> loss);
}  // namespace cuda

/// statistics [N, 3] of logits [N, V], columns of ids first_id .. first_id + V - 1: the row's maximum m, the sum of
/// exp(z - m), and the target's logit (0 when the target is in another shard or ignored). V = 0 gives (-inf, 0, 0).
template <class A, class D>
void cross_entropy_statistics(typename D::Queue& queue, In<A, D> logits, In<std::int32_t, D> targets, index_t first_id,
                              TensorView<A, D> statistics) {
  check(statistics.rows() == logits.rows() && statistics.cols() == 3 && targets.count() == logits.rows(),
        "cross_entropy_statistics: logits [N, V], targets [N], statistics [N, 3]");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(4.0 * logits.count(), logits, targets, statistics);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::cross_entropy_statistics<A>(logits, targets, first_id, statistics);
  else
    cuda::cross_entropy_statistics<A>(queue, logits, targets, first_id, statistics);
}

/// Merges the statistics of P vocabulary shards, shards [P, N, 3], into those of the whole row, statistics [N, 3].
template <class A, class D>
void cross_entropy_merge(typename D::Queue& queue, In<A, D> shards, TensorView<A, D> statistics) {
  check(shards.rank() == 3 && shards.dim(1) == statistics.rows(),
        "cross_entropy_merge: shards [P, N, 3], statistics [N, 3]");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(4.0 * shards.count(), shards, statistics);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::cross_entropy_merge<A>(shards, statistics);
  else
    cuda::cross_entropy_merge<A>(queue, shards, statistics);
}

/// From the merged statistics: loss [N] = m + log(sum) - target logit, unscaled, 0 on ignored rows; and
/// dlogits [N, V] = scale (softmax - one-hot of the target), 0 on ignored rows, of this shard's columns. An empty
/// dlogits asks for the loss alone. dlogits may alias logits when T is Acc<T>.
template <class T, class D>
void cross_entropy_backward(typename D::Queue& queue, In<Acc<T>, D> logits, In<std::int32_t, D> targets,
                            index_t first_id, In<Acc<T>, D> statistics, double scale, TensorView<T, D> dlogits,
                            std::type_identity_t<TensorView<Acc<T>, D>> loss) {
  check(statistics.rows() == logits.rows() && targets.count() == logits.rows() && loss.count() == logits.rows(),
        "cross_entropy_backward: logits [N, V], targets [N], statistics [N, 3], loss [N]");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(dlogits ? 4.0 * logits.count() : 0, dlogits ? logits : TensorView<const Acc<T>, D>(), targets,
                statistics, dlogits, loss);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::cross_entropy_backward<T>(logits, targets, first_id, statistics, scale, dlogits, loss);
  else
    cuda::cross_entropy_backward<T>(queue, logits, targets, first_id, statistics, scale, dlogits, loss);
}

}  // namespace ashlar::inline v0::ops
