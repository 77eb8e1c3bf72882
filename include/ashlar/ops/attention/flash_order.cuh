// The order in which blocks of the Hopper attention kernels take their tiles: the heaviest first, so that the light
// ones fill the gaps at the end, and few heads at a time, so that what they share stays in the L2 cache. Read next:
// ops/attention/flash_forward.cuh.
#pragma once

#include "ashlar/device/cuda/simt.cuh"
#include "ashlar/ops/attention/flash_mask.cuh"

namespace ashlar::inline v0::ops::cuda::kernel {

struct FlashOrder {
  int tiles;        // of one head of one sequence
  int heads;        // of all sequences
  int section;      // heads that are worked on together
  bool last_first;  // under a causal mask the last queries see most keys, and the first keys are seen by most queries

  struct Place {
    int head, tile;
  };
  ASHLAR_HOST_DEVICE int count() const { return tiles * heads; }
  ASHLAR_DEVICE Place operator()(int i) const {
    const int begin = i / (section * tiles) * section, rest = i % (section * tiles);
    const int together = heads - begin < section ? heads - begin : section;
    const int tile = rest / together;
    return {begin + rest % together, last_first ? tiles - 1 - tile : tile};
  }
};

/// The tile of queries of a ticket: which head's, and which keys it sees. None, when all tickets have been drawn.
template <class M, int Kept, int Tile, class Params>
ASHLAR_DEVICE FlashWork query_work(const Params& p, int ticket) {
  if (ticket >= p.order.count()) return {};
  const FlashOrder::Place at = p.order(ticket);
  const int b = at.head / p.sizes.heads, h = at.head % p.sizes.heads, first = at.tile * Kept;
  const FlashRange seen = FlashMask<M>{p.mask, p.sizes, b}.keys(first, Kept);
  return {b, h, first, seen.begin, seen.tiles(Tile)};
}

}  // namespace ashlar::inline v0::ops::cuda::kernel
