// Numbers of the embedding kernels. Read next: ops/embedding/cuda.cuh.
#pragma once

namespace ashlar::inline v0::ops {

struct EmbeddingTuning {
  int threads;           // of a block of the forward kernel; a warp has a row
  int backward_threads;  // of a block of the backward kernel: columns of one id, in packs
  int rows_in_flight;    // of dy that a thread loads before it adds them
};
inline constexpr EmbeddingTuning embedding_tuning{256, 128, 8};

}  // namespace ashlar::inline v0::ops
