// How a router scores and weighs experts. Read next: ops/router/router.hpp.
#pragma once

#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0::ops {

enum class ScoreFunction { softmax, sigmoid };

struct RouterOptions {
  ScoreFunction score = ScoreFunction::softmax;
  index_t top_k = 1;        // experts a token goes to
  bool normalize = false;   // weights of a token add up to `scale`
  double scale = 1;         // what every weight is multiplied by
  index_t groups = 1;       // of experts that follow one another, as many in each
  index_t group_limit = 1;  // groups that a token's experts are of
  index_t group_best = 2;   // a group's value is the sum of that many of its largest
  bool in_turn = false;     // token t goes to experts t k, t k + 1, ...: benchmarks of an even load
};

}  // namespace ashlar::inline v0::ops
