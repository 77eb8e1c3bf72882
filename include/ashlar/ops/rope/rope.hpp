// Rotary position embedding, interleaved pairs (Su et al. 2021, arXiv:2104.09864; the Llama layout).
// Used by nn/attention.hpp. Read next: ops/rope/cpu.hpp.
#pragma once

#include <type_traits>

#include <algorithm>
#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/device/cuda/cuda.hpp"
#include "ashlar/device/meta.hpp"
#include "ashlar/ops/rope/cpu.hpp"

namespace ashlar::inline v0::ops {

enum class Direction : bool { forward, backward };

namespace cuda {
template <class T>
void rope(Cuda::Queue&, TensorView<T, Cuda> x, index_t head_dim, index_t seq_len, index_t offset,
          TensorView<const Acc<T>, Cuda> table, Direction);
}

/// Rotates x [N, heads * head_dim] in place: row r is at position offset + r % seq_len. Within each head, pair
/// (2i, 2i+1) turns by the angle whose (cos, sin) stand at table[position, 2i .. 2i+1]; table is [positions, head_dim].
/// Direction::backward turns the other way, which is the gradient. Throws Error when a position is past the table.
template <class T, class D>
void rope(typename D::Queue& queue, TensorView<T, D> x, index_t head_dim, index_t seq_len, index_t offset,
          In<Acc<T>, D> table, Direction direction) {
  if (x.rows() > 0 && offset + std::min(seq_len, x.rows()) > table.rows())
    fail(concat("rope: position ", offset + seq_len - 1, " is past the table of ", table.rows(), " positions"));
  check(x.cols() % head_dim == 0 && head_dim % 2 == 0 && table.cols() == head_dim,
        "rope: x must be [N, heads * head_dim]");
  if constexpr (std::is_same_v<D, Meta>)
    queue.count(3.0 * x.count(), x, x);
  else if constexpr (std::is_same_v<D, Cpu>)
    cpu::rope<T>(x, head_dim, seq_len, offset, table, direction == Direction::backward);
  else
    cuda::rope<T>(queue, x, head_dim, seq_len, offset, table, direction);
}

}  // namespace ashlar::inline v0::ops
