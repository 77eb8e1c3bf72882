// One feature of a timestep; the same text on host and device. Read next: ops/conditioning/conditioning.hpp.
#pragma once

#include <cmath>

#include "ashlar/core/platform.hpp"
#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0::ops {

/// Feature i of `width`, an even number, of a timestep t in [0, 1]: cos(1000 t w_i), then sin, w_i = 10000^(-i / half).
ASHLAR_HOST_DEVICE double timestep_feature(double t, index_t i, index_t width) {
  const index_t half = width / 2;
  const double angle =
      1000 * t * std::exp(-9.210340371976184 * static_cast<double>(i % half) / static_cast<double>(half));
  return i < half ? std::cos(angle) : std::sin(angle);
}

}  // namespace ashlar::inline v0::ops
