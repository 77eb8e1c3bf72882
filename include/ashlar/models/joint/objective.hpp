// What a joint model is trained for: a function of its predictions. MeanSquaredError is the default; a trainer may be
// given any function of this form. Read next: models/joint/ends.hpp.
#pragma once

#include <functional>

#include "ashlar/nn/context.hpp"
#include "ashlar/ops/squared_error/squared_error.hpp"

namespace ashlar::inline v0 {

/// Predictions for rows of latents: under tp this rank's part of the micro-batch's, from first_row on.
template <class E>
struct Prediction {
  typename E::ConstView values;                          // [n, channels]
  typename E::template ViewOf<const float> target;       // [n, channels]
  index_t first_row = 0;                                 // among the micro-batch's rows of latents
  double scale = 1;                                      // the gradient is to be multiplied by this
  typename E::View gradient;                             // [n, channels]: to be written; empty: not wanted
  typename E::template ViewOf<typename E::Master> loss;  // [n]: to be written, unscaled
};

template <class E>
using PredictionLoss = std::function<void(Context<E>&, const Prediction<E>&)>;

/// The mean over channels of (prediction - target)^2.
struct MeanSquaredError {
  template <class E>
  void operator()(Context<E>& c, const Prediction<E>& p) const {
    ops::squared_error<typename E::Compute, typename E::Device>(c.queue, p.values, p.target, p.scale, p.gradient,
                                                                p.loss);
  }
};

}  // namespace ashlar::inline v0
