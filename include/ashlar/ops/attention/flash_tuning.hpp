// The plans of the Hopper attention kernels (sm_90a, bf16): which tiles a block keeps, how many are in flight, and who
// has the registers. A plan is a value; a kernel is compiled for one. Read next: ops/attention/flash_forward.cuh.
#pragma once

namespace ashlar::inline v0::ops {

/// A multiplying warpgroup has 64 rows of a tile: what one wgmma makes.
inline constexpr int flash_rows = 64, flash_warp_rows = 16;  // a warp has 16 of them

struct FlashTuning {
  int head_dim, value_dim;                     // of query and key; of value and out
  int warpgroups;                              // that multiply. The block keeps flash_rows rows for each
  int tile;                                    // rows of the tiles that stream past
  int stages;                                  // of them in flight
  int kept_stages;                             // 2: the block's next rows are loaded under its present ones
  int staged;                                  // columns of a result that go through shared memory at a time
  int tested;                                  // scores that are tested against the mask together: takes registers
  int blocks;                                  // a multiprocessor
  int producer_registers, consumer_registers;  // a thread; what setmaxnreg is given

  constexpr int threads() const { return 128 * (1 + warpgroups); }
  constexpr int kept() const { return flash_rows * warpgroups; }
  /// A multiprocessor has 65,536 registers, and hands them out to all of the block's warpgroups.
  constexpr bool registers_fit() const {
    return blocks * 128 * (producer_registers + warpgroups * consumer_registers) <= 65536 &&
           producer_registers % 8 == 0 && consumer_registers % 8 == 0;
  }
};

/// Forward: queries are kept, keys and values stream. Scores of a warpgroup take tile / 2 registers a thread, its out
/// value_dim / 2, its weights as an operand tile / 4. Plans are for head dimensions 64, 128, and 192 with values of
/// 128.
inline constexpr FlashTuning flash_forward_tunings[]{{64, 64, 3, 112, 2, 2, 64, 16, 1, 32, 160},
                                                     {128, 128, 2, 128, 2, 2, 128, 16, 1, 40, 232},
                                                     {192, 128, 2, 128, 2, 1, 64, 16, 1, 40, 232}};
/// The first of them for short sequences.
inline constexpr FlashTuning flash_short_forward_tuning{64, 64, 2, 128, 2, 2, 64, 64, 1, 40, 232};

/// The gradient of queries: queries and dout are kept, keys and values stream.
inline constexpr FlashTuning flash_query_gradient_tunings[]{{64, 64, 2, 128, 2, 2, 64, 16, 1, 40, 232},
                                                            {128, 128, 2, 112, 2, 1, 128, 16, 1, 40, 232},
                                                            {192, 128, 2, 64, 2, 1, 64, 16, 1, 40, 232}};

/// The gradients of keys and values: these are kept, queries and dout stream.
inline constexpr FlashTuning flash_key_gradient_tunings[]{{64, 64, 2, 128, 3, 2, 64, 16, 1, 40, 232},
                                                          {128, 128, 2, 96, 3, 1, 128, 8, 1, 40, 232},
                                                          {192, 128, 2, 32, 2, 1, 64, 4, 1, 40, 232}};

/// The same where the gradient of queries is added to memory on the way, for which there are plans of heads of 64 and
/// of 128: dscores of two tiles lie in shared memory too.
inline constexpr FlashTuning flash_adding_tunings[]{{64, 64, 2, 128, 2, 1, 64, 16, 1, 40, 232},
                                                    {128, 128, 2, 96, 2, 1, 128, 8, 1, 40, 232}};

}  // namespace ashlar::inline v0::ops
