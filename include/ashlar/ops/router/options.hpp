// How a router scores and weighs experts. Read next: ops/router/router.hpp.
#pragma once

#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0::ops {

enum class ScoreFunction { softmax, sigmoid };

struct RouterOptions {
  ScoreFunction score = ScoreFunction::softmax;
  index_t top_k = 1;       // experts a token goes to
  bool normalize = false;  // weights of a token add up to `scale`
  double scale = 1;        // what every weight is multiplied by
};

}  // namespace ashlar::inline v0::ops
