// Numbers of the matrix product on Cuda. Read next: ops/matmul/cuda.cuh.
#pragma once

#include <cstddef>

namespace ashlar::inline v0::ops {

struct MatmulTuning {
  std::size_t cached_algorithms;  // that a host thread remembers for each pair of types
  int scale_threads;              // of a block that scales a result when there is nothing to add
  int wide;                       // bf16 elements that the tensor cores' loads take at a time
  int cut_from;                   // columns or summed indices from which a product is cut to a multiple of that
};
inline constexpr MatmulTuning matmul_tuning{256, 256, 8, 1024};

}  // namespace ashlar::inline v0::ops
