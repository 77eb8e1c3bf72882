// Loading: each rank fills its own ranges from whatever pieces a checkpoint has, on any layout and world size. Read
// next: checkpoint/tensor_index.hpp.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ashlar/checkpoint/folder.hpp"
#include "ashlar/checkpoint/state.hpp"
#include "ashlar/checkpoint/tensor_index.hpp"
#include "ashlar/comm/communicator.hpp"
#include "ashlar/core/platform.hpp"

namespace ashlar::inline v0 {

/// A checkpoint whose headers have been read.
struct OpenCheckpoint {
  std::filesystem::path path;
  std::optional<Manifest> manifest;  // none: bare weights from elsewhere
  TensorIndex index;
};

/// Opens what a user points at: a checkpoint's folder; a folder of checkpoints (its newest complete one); a folder of
/// safetensors files, or one such file, with weights under this library's names. Throws Error where it is none of them.
OpenCheckpoint open_checkpoint(std::filesystem::path path);

/// Fills the ranges. Padding becomes zero. Throws Error that names the tensor: where the checkpoint lacks it or a part
/// of it, or has another shape.
void load_state(TensorIndex& index, std::span<const StateRange> ranges);

/// Throws Error where the checkpoint has weights or buffers that no rank's ranges ask for: it is another model's.
/// Collective: all ranks have read the same headers.
void check_nothing_left_over(const TensorIndex& index, std::span<const StateRange> ranges, Communicator world);

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/checkpoint/load.ipp"
#endif
