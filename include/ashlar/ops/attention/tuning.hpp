// Numbers of the attention kernels. Read next: ops/attention/cuda.cuh.
#pragma once

namespace ashlar::inline v0::ops {

struct AttentionTuning {
  int float_micro;       // a thread has micro x micro scores of a tile of [16 micro queries, 16 micro keys]
  int double_micro;      // the same where sums are kept in double: their registers are twice as many
  int depth;             // elements of the head dimension that go through shared memory at a time, for scores
  int delta_threads;     // of a block that computes delta; a warp has a row of a head
  int two_blocks_bytes;  // of a row of a head, in working precision, up to which two blocks share a multiprocessor
  int head_dims[3];      // that kernels are compiled for, ascending; a head takes the first that holds it
};
inline constexpr AttentionTuning attention_tuning{4, 2, 16, 256, 256, {64, 128, 256}};

}  // namespace ashlar::inline v0::ops
