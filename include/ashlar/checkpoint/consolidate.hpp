// Consolidating: a checkpoint's weights as one safetensors file under plain names, tensor after tensor, in bounded
// memory and without a model. Read next: checkpoint/merge.hpp.
#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "ashlar/checkpoint/load.hpp"
#include "ashlar/checkpoint/merge.hpp"
#include "ashlar/core/platform.hpp"

namespace ashlar::inline v0 {

/// What consolidate wrote.
struct Consolidated {
  std::filesystem::path path;
  std::size_t tensors = 0;
  std::uint64_t bytes = 0;  // of the file
};

/// Writes weights and buffers of a checkpoint, without the optimizer's states, to `target`; floating-point tensors as
/// `type`, others as they are. The file appears when it is complete. Holds at most `at_once` elements of a tensor, or
/// one slice of its outermost dimension where that is larger. Throws Error that names the tensor where a part is
/// missing; then no file is left. `base`, `alpha`: of a checkpoint that left frozen weights elsewhere (MergedWeights).
Consolidated consolidate(OpenCheckpoint& from, const std::filesystem::path& target, DType type,
                         index_t at_once = index_t{1} << 24, TensorIndex* base = nullptr, double alpha = 1);

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/checkpoint/consolidate.ipp"
#endif
