// What goes through shared memory: a ring of stages, each with a slice of both factors of a tile, as the copy engine
// writes them and wgmma reads them. Read next: ops/grouped_gemm/tma/products.cuh.
//
// A slice lies in boxes whose rows are 128 bytes: 64 elements, whose eight 16-byte pieces are permuted by the row's
// number (Swizzle::b128), so that neither rows nor columns of a box meet in a bank.
#pragma once

#include "ashlar/device/cuda/ptx.cuh"

namespace ashlar::inline v0::ops::cuda::grouped {

/// Which index of a factor is contiguous: the summed one (K-major, in wgmma's words), or the one that the result keeps
/// (MN-major: wgmma transposes).
enum class Contiguous { summed, kept };

/// A slice of a factor: `Kept` rows or columns of the tile by `Depth` summed indices.
template <Contiguous C, int Kept, int Depth>
struct Slice {
  static constexpr int transposed = C == Contiguous::kept;
  static constexpr int boxes = (transposed ? Kept : Depth) / 64, box_rows = transposed ? Depth : Kept;
  static constexpr int box_bytes = box_rows * 128;
  alignas(1024) SharedArray<bf16, Kept * Depth> elements;

  /// Box i, from its row `row` on. Boxes follow each other along the contiguous index.
  ASHLAR_DEVICE bf16* box(int i, int row = 0) { return &elements[(i * box_rows + row) * 64]; }

  /// The factor of one wgmma: 16 summed indices, number k, of the kept ones from `kept` on.
  ASHLAR_DEVICE std::uint64_t factor(int kept, int k) {
    const std::uint32_t at = ptx::address(&elements[0]);
    if constexpr (transposed) return ptx::descriptor(at + kept / 64 * box_bytes + k * 2048, box_bytes);
    return ptx::descriptor(at + k / 4 * box_bytes + kept * 128 + k % 4 * 32);
  }
};

/// A place in the ring of N stages, and the parity of the barriers' phases there.
template <int N>
struct Place {
  int stage = 0, parity = 0;
  ASHLAR_DEVICE void next() {
    if (++stage == N) stage = 0, parity ^= 1;
  }
  ASHLAR_DEVICE void skip(int stages) {
    stage += stages;
    parity ^= stage / N & 1;
    stage %= N;
  }
};

}  // namespace ashlar::inline v0::ops::cuda::grouped
