// Token embedding: rows of a table, also of a vocabulary shard. Read next: ops/embedding/cpu.hpp.
#pragma once

#include <algorithm>
#include <type_traits>

#include <cstdint>
#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/device/cuda/counting_sort_tuning.hpp"
#include "ashlar/device/cuda/cuda.hpp"
#include "ashlar/device/meta.hpp"
#include "ashlar/ops/embedding/cpu.hpp"

namespace ashlar::inline v0::ops {

namespace cuda {
template <class T>
void embedding(Cuda::Queue&, TensorView<const std::int32_t, Cuda> ids, TensorView<const T, Cuda> table,
               index_t first_id, TensorView<T, Cuda> out);
template <class T>
void embedding_backward(Cuda::Queue&, TensorView<const std::int32_t, Cuda> ids, TensorView<const T, Cuda> dy,
                        index_t first_id, TensorView<Acc<T>, Cuda> dtable, TensorView<std::int32_t, Cuda> workspace);
}  // namespace cuda

/// out [N, D] = table[ids - first_id], zero where the id is outside [first_id, first_id + V): table [V, D] may be the
/// shard of a larger vocabulary.
template <class T, class D>
void embedding(typename D::Queue& queue, In<std::int32_t, D> ids, In<T, D> table, index_t first_id,
               TensorView<T, D> out) {
  check(ids.count() == out.rows() && table.cols() == out.cols(), "embedding: ids [N], table [V, D], out [N, D]");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(0, ids, out, out);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::embedding<T>(ids, table, first_id, out);
  else
    cuda::embedding<T>(queue, ids, table, first_id, out);
}

/// How many elements `workspace` of embedding_backward needs on D for n tokens and V rows of the table: the tokens are
/// sorted by id. Zero where the device needs none.
template <class D>
index_t embedding_backward_workspace(index_t tokens, index_t table_rows) {
  return std::is_same_v<D, Cuda> ? counting_sort_workspace(tokens, table_rows) : 0;
}

/// dtable[id - first_id] += sum of dy over the tokens with that id, tokens in increasing order: the same bits every
/// time.
template <class T, class D>
void embedding_backward(typename D::Queue& queue, In<std::int32_t, D> ids, In<T, D> dy, index_t first_id,
                        TensorView<Acc<T>, D> dtable, std::type_identity_t<TensorView<std::int32_t, D>> workspace) {
  check(ids.count() == dy.rows() && dtable.cols() == dy.cols(),
        "embedding_backward: ids [N], dy [N, D], dtable [V, D]");
  const index_t needed = embedding_backward_workspace<D>(ids.count(), dtable.rows());
  check(needed == 0 || workspace.count() >= needed,
        "embedding_backward: the workspace must have embedding_backward_workspace(N, V) elements");
  if constexpr (std::is_same_v<D, Meta>) {
    // Rows of the table that are read and written: no more than there are tokens.
    const auto rows = dtable.rows(0, std::min(dy.rows(), dtable.rows()));
    queue.count(1.0 * dy.count(), ids, dy, rows, rows);
  } else if constexpr (std::is_same_v<D, Cpu>) {
    cpu::embedding_backward<T>(ids, dy, first_id, dtable);
  } else {
    cuda::embedding_backward<T>(queue, ids, dy, first_id, dtable, workspace);
  }
}

}  // namespace ashlar::inline v0::ops
