// Rotary position embedding (Su et al. 2021, arXiv:2104.09864). Read next: ops/rope/shape.hpp, ops/rope/cpu.hpp.
#pragma once

#include <algorithm>
#include <type_traits>

#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/device/cuda/cuda.hpp"
#include "ashlar/device/meta.hpp"
#include "ashlar/ops/rope/cpu.hpp"
#include "ashlar/ops/rope/shape.hpp"

namespace ashlar::inline v0::ops {

enum class Direction : bool { forward, backward };

namespace cuda {
template <class T>
void rope(Cuda::Queue&, TensorView<T, Cuda> x, const RopeShape& shape, const RopePositions<Cuda>& positions,
          TensorView<const Acc<T>, Cuda> table, Direction);
}

/// Rotates x [N, heads head_dim] in place: within the columns that `shape` names of each head, pair i turns by the
/// angle whose (cos, sin) stand at table[position, 2i .. 2i+1]; table is [positions, width] for either kind of pairs.
/// Arithmetic in Acc<T>. Direction::backward turns the other way, which is the gradient. Throws Error when a position
/// is past the table; those of positions.of_row are looked at on Cpu alone. A sequence of one length is
/// `rope<T, D>(queue, x, shape, {seq_len, offset}, table, direction)`.
template <class T, class D>
void rope(typename D::Queue& queue, TensorView<T, D> x, const RopeShape& shape, const RopePositions<D>& positions,
          In<Acc<T>, D> table, Direction direction) {
  if (x.cols() != shape.heads * shape.head_dim || shape.width % 2 != 0 || shape.begin < 0 ||
      shape.begin + shape.width > shape.head_dim || table.cols() != shape.width)
    fail(
        concat("rope: x must be [N, heads head_dim], the columns of a head that turn an even number within it, and "
               "the table as wide; got ",
               to_string(x.shape()), ", ", shape.heads, " heads of ", shape.head_dim, ", columns ", shape.begin, " to ",
               shape.begin + shape.width, " and table ", to_string(table.shape())));
  if (positions.of_row)
    check(positions.of_row.count() == x.rows(), "rope: positions must be [N], one for each row of x");
  else if (x.rows() > 0 && positions.offset + std::min(positions.seq_len, x.rows()) > table.rows())
    fail(concat("rope: position ", positions.offset + std::min(positions.seq_len, x.rows()) - 1,
                " is past the table of ", table.rows(), " positions"));
  if constexpr (std::is_same_v<D, Meta>) {
    const TensorView<T, D> turned(nullptr, {x.rows(), shape.heads * shape.width});
    queue.count(3.0 * turned.count(), turned, turned);
  } else if constexpr (std::is_same_v<D, Cpu>)
    cpu::rope<T>(x, shape, positions, table, direction == Direction::backward);
  else
    cuda::rope<T>(queue, x, shape, positions, table, direction);
}

}  // namespace ashlar::inline v0::ops
