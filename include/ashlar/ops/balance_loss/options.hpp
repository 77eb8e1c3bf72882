// What the balance loss is of. Read next: ops/balance_loss/balance_loss.hpp.
#pragma once

#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0::ops {

struct BalanceLoss {
  bool softmax = true;     // the probabilities are a softmax of the logits; else sigmoids
  double factor = 0;       // what counts are multiplied by
  index_t first_row = 0;   // of the rows at hand, among all that the groups are of
  index_t group_rows = 1;  // rows that are counted together: a sequence, or all
};

}  // namespace ashlar::inline v0::ops
