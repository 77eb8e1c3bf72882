// One tensor map for groups of rows of any size (found in QuACK's kernels; Dao-AILab/quack). The copy engine checks
// each coordinate against its dimension, and computes the address modulo 2^64. So a map may give the rows a bound far
// past any group, and two more dimensions whose strides undo the distance:
//
//   dimension   size   stride             coordinate
//   column      cols   1                  column
//   row         2^30   s                  2^30 - rows + row       reaches the bound where row reaches the group's end
//   shift       2^31   s                  begin + rows
//   wrap        2^31   2^34 - s           2^30
//
//   s (2^30 - rows + row) + s (begin + rows) + 2^30 (2^34 - s) = s (begin + row) + 2^64
//
// A box that crosses the end of its group loads zeros there, and stores nothing, whatever row the next group begins at:
// no padding, no map for each group, no sizes on the host. Read next: ops/grouped_gemm/tma/products.cuh.
#pragma once

#include "ashlar/core/tensor_view.hpp"
#include "ashlar/device/cuda/cuda.hpp"
#include "ashlar/device/cuda/tensor_map.hpp"

namespace ashlar::inline v0::ops::cuda::grouped {

inline constexpr int ragged_bound = 1 << 30;

/// Rows x [R, cols] that groups share, in boxes [box_rows, 64]. R < 2^30, rows a multiple of 16 bytes apart.
template <class T>
ptx::TensorMap ragged_map(const TensorView<T, Cuda>& x, int box_rows) {
  const index_t s = x.row_stride(), huge = index_t{1} << 31;
  return tensor_map(
      x.data(),
      TensorMapShape<4>{{x.cols(), ragged_bound, huge, huge}, {s, s, (index_t{1} << 34) - s}, {64, box_rows, 1, 1}});
}

/// The coordinates of row `row` of the group of `rows` rows that begins at row `begin`.
struct RaggedRow {
  int row, shift;
  static constexpr int wrap = ragged_bound;
  ASHLAR_HOST_DEVICE RaggedRow(int begin, int rows, int row_) : row(ragged_bound - rows + row_), shift(begin + rows) {}
};

}  // namespace ashlar::inline v0::ops::cuda::grouped
