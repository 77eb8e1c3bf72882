// Where columns of heads are in a row. Read next: ops/heads/heads.hpp.
#pragma once

#include "ashlar/core/shape.hpp"

namespace ashlar::inline v0::ops {

/// Rows of `heads` heads of head_dim columns; of each head, the columns from `begin` on are meant.
struct HeadColumns {
  index_t heads = 0, head_dim = 0, begin = 0;
};

}  // namespace ashlar::inline v0::ops
