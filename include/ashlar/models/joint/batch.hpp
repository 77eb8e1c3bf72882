// LatentBatch: what a joint model is trained on. Read next: models/joint/random_latents.hpp, a source of them.
#pragma once

#include <utility>

#include "ashlar/data/batch.hpp"

namespace ashlar::inline v0 {

/// Rows are images, of image_len latents of `channels` each, with text_len features of text.
template <template <class> class Array>
struct LatentBatch {
  index_t rows = 0, image_len = 0, text_len = 0, channels = 0, text_channels = 0;
  Array<float> latents, targets;  // [rows, image_len, channels]: with noise; what is to be predicted
  Array<float> text;              // [rows, text_len, text_channels]
  Array<float> timesteps;         // [rows], 0 (no noise) to 1 (all noise)

  static constexpr int required = 4;
  template <class F, class... Batches>
  static void for_each_array(const LatentBatch& shape, F&& f, Batches&... batches) {
    f(shape.image_len * shape.channels, batches.latents...);
    f(shape.image_len * shape.channels, batches.targets...);
    f(shape.text_len * shape.text_channels, batches.text...);
    f(index_t{1}, batches.timesteps...);
  }

  std::pair<index_t, index_t> extent() const { return {rows, image_len}; }
  std::string description() const { return concat(rows, " images of ", image_len, " latents"); }
  /// Every latent of every image.
  double counted() const { return static_cast<double>(rows * image_len); }
};

}  // namespace ashlar::inline v0
