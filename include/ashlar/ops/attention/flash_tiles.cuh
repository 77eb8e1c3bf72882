// Tiles of rows in shared memory as the copy engine writes them and wgmma reads them, and the products of the Hopper
// attention kernels. Read next: ops/attention/flash_forward.cuh.
//
// A tile [rows, cols] is cut into boxes of 64 columns: a row of a box is 128 bytes, whose eight 16-byte pieces are
// permuted by the row's number (the swizzle), so that neither reading rows nor reading columns meets a bank twice.
#pragma once

#include "ashlar/device/cuda/ptx.cuh"
#include "ashlar/ops/attention/flash_mask.cuh"

namespace ashlar::inline v0::ops::cuda::kernel {

template <int Rows, int Cols>
struct FlashTile {
  static_assert(Rows % 8 == 0 && Cols % 64 == 0);
  static constexpr int boxes = Cols / 64, box_bytes = Rows * 128, bytes = boxes * box_bytes;
  alignas(1024) SharedArray<bf16, Rows * Cols> elements;

  ASHLAR_DEVICE std::uint32_t address() { return ptx::address(&elements[0]); }
  /// The 64 columns of a box, from row `row` on.
  ASHLAR_DEVICE bf16* box(int b, int row = 0) { return &elements[(b * Rows + row) * 64]; }

  /// The tile from row `row` on as an operand that is summed along its rows, of which `step_rows(k)` is the k-th 16
  /// columns.
  ASHLAR_DEVICE std::uint64_t along_rows(int row = 0) { return ptx::descriptor(address() + row * 128); }
  /// The tile as an operand that is summed along its columns, of which step k is 16 rows.
  ASHLAR_DEVICE std::uint64_t along_columns() { return ptx::descriptor(address(), box_bytes); }

  /// Where the lane's row of stmatrix goes: of the warpgroup's 64 rows from `row` on, and of pieces j and j + 1.
  template <class Context>
  ASHLAR_DEVICE std::uint32_t piece(const Context& ctx, int row, int j) {
    const int r = row + ctx.thread() % 128 / warp_size * 16 + ctx.lane() % 16, at = j + ctx.lane() / 16;
    return address() + at / 8 * box_bytes + r * 128 + ((at % 8) ^ (r % 8)) * 16;
  }

  static constexpr int row_step(int k) { return k / 4 * box_bytes + k % 4 * 32; }
  static constexpr int column_step(int k) { return k * 2048; }
};

/// The descriptor of what lies `bytes` further. One addition to its lower half: between the instructions of a product
/// is time for little more.
ASHLAR_DEVICE std::uint64_t further(std::uint64_t descriptor, int bytes) {
  return (descriptor & ~std::uint64_t{0xffffffffu}) | (static_cast<std::uint32_t>(descriptor) + (bytes >> 4));
}

/// x [64, N] = rows [row, row + 64) of a times b^T [N, Cols]. Starts it as one group.
template <int RowsA, int RowsB, int Cols>
ASHLAR_DEVICE void start_scores(float (&x)[RowsB / 2], FlashTile<RowsA, Cols>& a, int row, FlashTile<RowsB, Cols>& b) {
  const std::uint64_t from = a.along_rows(row), with = b.along_rows();
#pragma unroll
  for (int k = 0; k < Cols / 16; ++k)
    ptx::wgmma_ss<0, 0>(x, further(from, a.row_step(k)), further(with, b.row_step(k)), k != 0);
  ptx::wgmma_commit();
}

/// x [64, Cols] += weights [64, Rows] b. Starts it as one group; weights are operands in registers.
template <int Rows, int Cols>
ASHLAR_DEVICE void start_sum(float (&x)[Cols / 2], const std::uint32_t (&weights)[Rows / 4], FlashTile<Rows, Cols>& b) {
  const std::uint64_t with = b.along_columns();
#pragma unroll
  for (int k = 0; k < Rows / 16; ++k) ptx::wgmma_rs<1>(x, weights + 4 * k, further(with, b.column_step(k)), 1);
  ptx::wgmma_commit();
}

/// A result [64, N] as the operand of the next product: the same threads hold the same rows, so it is only rounded.
template <int N>
ASHLAR_DEVICE void to_operand(const float (&x)[N], std::uint32_t (&operand)[N / 2]) {
#pragma unroll
  for (int i = 0; i < N / 2; ++i) operand[i] = ptx::pack(x[2 * i], x[2 * i + 1]);
}

/// Element i of a result that became an operand, rounded as it was.
template <int N>
ASHLAR_DEVICE float from_operand(const std::uint32_t (&operand)[N], int i) {
  return __builtin_bit_cast(float, i % 2 ? operand[i / 2] & 0xffff0000u : operand[i / 2] << 16);
}

/// A warpgroup's operand [64, 4 N] into rows [row, row + 64) of a tile.
template <int Rows, int Cols, int N, class Context>
ASHLAR_DEVICE void put_operand(const Context& ctx, FlashTile<Rows, Cols>& tile, int row,
                               const std::uint32_t (&operand)[N]) {
#pragma unroll
  for (int j = 0; j < N / 2; j += 2)
    ptx::stmatrix(tile.piece(ctx, row, j), operand[2 * j], operand[2 * j + 1], operand[2 * j + 2], operand[2 * j + 3]);
}

/// Columns [begin, begin + Cols) of a warpgroup's result [64, 2 N], times factor[0 or 1] (of a thread's two rows), into
/// rows [row, row + 64) of a tile.
template <int Rows, int Cols, int N, class Context>
ASHLAR_DEVICE void put_result(const Context& ctx, FlashTile<Rows, Cols>& tile, int row, const float (&x)[N], int begin,
                              const float (&factor)[2]) {
#pragma unroll
  for (int j = 0; j < Cols / 8; j += 2) {
    const int i = begin / 2 + 4 * j;
    ptx::stmatrix(tile.piece(ctx, row, j), ptx::pack(x[i] * factor[0], x[i + 1] * factor[0]),
                  ptx::pack(x[i + 2] * factor[1], x[i + 3] * factor[1]),
                  ptx::pack(x[i + 4] * factor[0], x[i + 5] * factor[0]),
                  ptx::pack(x[i + 6] * factor[1], x[i + 7] * factor[1]));
  }
}

/// Starts the loads of a tile: rows from `first` on of a head of sequence b. Its bytes count towards `full`.
template <int Rows, int Cols>
ASHLAR_DEVICE void load_tile(FlashTile<Rows, Cols>& tile, const ptx::TensorMap& map, ptx::Barrier& full, int first,
                             int head, int b) {
  for (int c = 0; c < tile.boxes; ++c) ptx::load(tile.box(c), map, full, 64 * c, first, head, b);
}

/// Starts the stores of rows [row, row + 64) of a tile to rows from `first` on, in place of what is there or onto it.
template <int Rows, int Cols>
ASHLAR_DEVICE void store_rows(bool add, const ptx::TensorMap& map, FlashTile<Rows, Cols>& tile, int row, int first,
                              int head, int b) {
  for (int c = 0; c < tile.boxes; ++c)
    if (add)
      ptx::add(map, tile.box(c, row), 64 * c, first, head, b);
    else
      ptx::store(map, tile.box(c, row), 64 * c, first, head, b);
}

/// A place in a ring of N buffers, and the parity that its barriers wait for.
template <int N>
struct Ring {
  int at = 0, parity = 0;
  ASHLAR_DEVICE void next() {
    if (++at == N) at = 0, parity ^= 1;
  }
};

/// Whose turn it is to start products: one warpgroup after another, so that the softmax of one runs under the products
/// of the others. Named barriers 1 to N.
template <int N>
struct Turns {
  int mine, next;
  ASHLAR_DEVICE explicit Turns(int warpgroup) : mine(1 + warpgroup), next(1 + (warpgroup + 1) % N) {
    if (warpgroup == N - 1) give();  // the first turn is warpgroup 0's
  }
  ASHLAR_DEVICE void take() const { ptx::bar_sync(mine, 256); }
  ASHLAR_DEVICE void give() const { ptx::bar_arrive(next, 256); }
  /// The turn that the last one gave stays untaken otherwise.
  ASHLAR_DEVICE void finish() const {
    if (mine == 1) take();
  }
};

}  // namespace ashlar::inline v0::ops::cuda::kernel
