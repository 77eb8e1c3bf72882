// RandomLatents: images that are noise around a direction which their text names, for tests and trials of a joint
// model. Read next: models/joint/batch.hpp.
#pragma once

#include <cmath>

#include "ashlar/core/random.hpp"
#include "ashlar/data/loader.hpp"
#include "ashlar/models/joint/batch.hpp"
#include "ashlar/models/joint/sizes.hpp"

namespace ashlar::inline v0 {

/// Row n is a function of (seed, n). Flow matching (Lipman et al. 2023, arXiv:2210.02747; Esser et al. 2024,
/// arXiv:2403.03206): at a timestep t in [0, 1) a row has (1 - t) latent + t noise, and is to predict noise - latent.
class RandomLatents final : public Source<LatentBatch<HostArray>> {
 public:
  RandomLatents(std::uint64_t seed, const JointSizes& sizes, index_t image_len)
      : seed_(seed), sizes_(sizes), image_len_(image_len) {}

  LatentBatch<HostArray> read(std::int64_t first, index_t rows) const override {
    LatentBatch<HostArray> batch{rows, image_len_, sizes_.text_len, sizes_.channels, sizes_.text_channels, {}, {},
                                 {},   {}};
    for (index_t r = 0; r < rows; ++r) {
      const RandomStream stream(seed_, static_cast<std::uint64_t>(first + r));
      std::uint64_t drawn = 0;
      const auto next = [&] { return stream.normal(drawn++); };
      const double t = static_cast<double>(stream.below(drawn++, 1000)) / 1000;
      batch.timesteps.push_back(static_cast<float>(t));
      double direction = 0;  // which the text says, and the latents follow
      for (index_t i = 0; i < sizes_.text_len * sizes_.text_channels; ++i) {
        const double feature = next();
        batch.text.push_back(static_cast<float>(feature));
        if (i == 0) direction = feature;
      }
      for (index_t i = 0; i < image_len_ * sizes_.channels; ++i) {
        const double latent = direction + 0.3 * next(), noise = next();
        batch.latents.push_back(static_cast<float>((1 - t) * latent + t * noise));
        batch.targets.push_back(static_cast<float>(noise - latent));
      }
    }
    return batch;
  }

 private:
  std::uint64_t seed_;
  JointSizes sizes_;
  index_t image_len_;
};

}  // namespace ashlar::inline v0
